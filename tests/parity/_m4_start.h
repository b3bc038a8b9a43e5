#ifndef M4_START_H
#define M4_START_H

void say(const char *text);

#endif
