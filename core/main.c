#include "core/daemon.h"

int main(int argc, char **argv)
{
	return vd_daemon_main(argc, argv);
}
