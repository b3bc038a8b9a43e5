/* Compiles the chosen model's generated source; select_model.py says which. */
#include NB_MODEL_SOURCE
