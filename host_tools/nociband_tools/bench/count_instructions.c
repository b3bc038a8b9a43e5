/* A QEMU TCG plugin (plugin interface 1, QEMU 7.2) that counts how often each instruction of the program in flash runs, and how
   often it is followed by one that does not stand behind it (a taken branch). Built by nociband_tools.bench with the host's gcc;
   Debian ships no plugin header, so the few prototypes are declared here.
   Output: one line "address executed left" an instruction, address in hexadecimal, to the file of the plugin argument out=FILE. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0, QEMU_PLUGIN_CB_NO_REGS = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *counter, uint64_t add);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { FLASH_BYTES = 1 << 20, BLOCKS_MAX = 1 << 16, BESIDE = FLASH_BYTES };

/* A run of instructions without a branch inside: its ends, and the last instruction. */
typedef struct {
    uint32_t first, last, behind;
} block_t;

static uint64_t executed[FLASH_BYTES / 2 + 1]; /* one a halfword; the last for whatever is not in flash */
static uint64_t left[FLASH_BYTES / 2 + 1];
static block_t blocks[BLOCKS_MAX];
static size_t blocks_used;
static const block_t *before;
static char out_path[4096] = "/dev/stderr";

static size_t index_of(uint64_t address)
{
    return (address < FLASH_BYTES ? address : BESIDE) / 2;
}

static void on_block(unsigned cpu, void *data)
{
    const block_t *block = data;
    (void)cpu;
    if (before != NULL && before->behind != block->first) {
        left[index_of(before->last)]++;
    }
    before = block;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const size_t n = qemu_plugin_tb_n_insns(tb);
    (void)id;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &executed[index_of(qemu_plugin_insn_vaddr(instruction))], 1);
    }
    if (n == 0 || blocks_used == BLOCKS_MAX) {
        return;
    }
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
    block_t *block = &blocks[blocks_used++];
    block->first = (uint32_t)qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    block->last = (uint32_t)qemu_plugin_insn_vaddr(last);
    block->behind = block->last + (uint32_t)qemu_plugin_insn_size(last);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void on_exit_write(qemu_plugin_id_t id, void *unused)
{
    (void)id;
    (void)unused;
    FILE *out = blocks_used < BLOCKS_MAX ? fopen(out_path, "w") : NULL; /* no figures rather than wrong ones */
    if (!out) {
        return;
    }
    for (size_t i = 0; i <= FLASH_BYTES / 2; i++) {
        if (executed[i]) {
            fprintf(out, "%zx %llu %llu\n", 2 * i, (unsigned long long)executed[i], (unsigned long long)left[i]);
        }
    }
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
                                                               char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            snprintf(out_path, sizeof out_path, "%s", argv[i] + 4);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
