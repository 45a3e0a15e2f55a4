// gangflow-keeper: the parent of everything that gangflow starts on a machine. One binary, one subcommand a duty.
#include "keeper.h"
#include <stdio.h>
#include <string.h>

// By the name under which it is called: `shim`, `gangflow-shim`, `ssh`, `rsh`.
static bool called_as_shim(const char *self) {
  const char *slash = strrchr(self, '/'), *name = slash ? slash + 1 : self;
  return strcmp(name, "shim") == 0 || strcmp(name, "gangflow-shim") == 0 || strcmp(name, "ssh") == 0 || strcmp(name, "rsh") == 0;
}

// The name under which it stands around the ranks of an MPI job.
static bool called_as_rank(const char *self) {
  const char *slash = strrchr(self, '/');
  return slash && strcmp(slash, "/rank") == 0;
}

int main(int argc, char **argv) {
  if (argc > 0 && called_as_shim(argv[0])) return shim(argv[0], argc - 1, argv + 1);
  if (argc > 0 && called_as_rank(argv[0])) return rank(argv[0], argc - 1, argv + 1);
  if (argc > 1 && strcmp(argv[1], "ranks") == 0) return ranks(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "shim") == 0) return shim("shim", argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "attach") == 0) return attach(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "copy") == 0) return copy(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "serve") == 0) return serve(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "--version") == 0) return puts(KEEPER_VERSION), 0;
  fputs("usage: gangflow-keeper serve [--mark=TEXT] [--lease-ms=N] [--grace-ms=N] [--live-rate=BYTES] [--adopt=kill|keep]"
        " [--parent-death]\n       gangflow-keeper attach [--terminal=COLSxROWS] SOCKET TOKEN COMMAND...\n"
        "       gangflow-keeper shim HOST [COMMAND...]\n       gangflow-keeper ranks FOLDER SHARED NODE.FIRST CWD PROGRAM SCRIPT DAEMON\n"
        "       gangflow-keeper copy check | seal SIZE | open SIZE [onward]\n       gangflow-keeper --version\n", stderr);
  return 64;
}
