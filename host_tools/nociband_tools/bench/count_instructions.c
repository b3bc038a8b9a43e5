/* A QEMU TCG plugin (plugin interface 1, QEMU 7.2) that counts executed instructions per function symbol.
   Built by nociband_tools.bench with the host's gcc; Debian ships no plugin header, so the few prototypes are declared here.
   Output: one line "symbol count" a function, to the file named by the plugin argument out=FILE. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *counter, uint64_t add);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { FUNCTIONS_MAX = 4096 };
static struct {
    const char *symbol;
    uint64_t count;
} functions[FUNCTIONS_MAX];
static size_t functions_used;
static const char *out_path = "/dev/stderr";

static uint64_t *counter_of(const char *symbol)
{
    size_t i = 0;
    while (i < functions_used && strcmp(functions[i].symbol, symbol) != 0) {
        i++;
    }
    if (i == functions_used) {
        if (functions_used == FUNCTIONS_MAX) {
            return &functions[FUNCTIONS_MAX - 1].count;
        }
        functions[functions_used++].symbol = strdup(symbol);
    }
    return &functions[i].count;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        const char *symbol = qemu_plugin_insn_symbol(instruction);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, counter_of(symbol ? symbol : "?"), 1);
    }
}

static void on_exit_write(qemu_plugin_id_t id, void *unused)
{
    (void)id;
    (void)unused;
    FILE *out = fopen(out_path, "w");
    if (!out) {
        return;
    }
    for (size_t i = 0; i < functions_used; i++) {
        fprintf(out, "%s %llu\n", functions[i].symbol, (unsigned long long)functions[i].count);
    }
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
                                                               char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out_path = strdup(argv[i] + 4);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
