/* Non-volatile memory as a file, or, without one, as memory that a reset clears. */
#ifndef NVM_FILE_H
#define NVM_FILE_H
#include "nb_nvm.h"

/* Opens, and makes when it is not there. NULL path: nothing outlives the process. False, with the reason on stderr, when the
   file cannot be used. */
bool nvm_file_open(nb_nvm_t *nvm, const char *path);

#endif
