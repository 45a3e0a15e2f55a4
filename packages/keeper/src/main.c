// gangflow-keeper: the parent of everything that gangflow starts on a machine. One binary, one subcommand a duty.
#include "keeper.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "serve") == 0) return serve(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "--version") == 0) return puts(KEEPER_VERSION), 0;
  fputs("usage: gangflow-keeper serve [--mark=TEXT] [--lease-ms=N] [--grace-ms=N] [--live-rate=BYTES] [--adopt=kill|keep]"
        " [--parent-death]\n       gangflow-keeper --version\n", stderr);
  return 64;
}
