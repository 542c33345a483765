// conductor: every verb. What only images need is in conductor-images, what only the screen needs in conductor-console;
// this program puts them in its place when one of their verbs is called.
#include "net/network.h"
#include "tui/command/invocation.h"

int main(int argc, char** argv)
{
  using namespace conductor;
  const command::Program program{.home = command::Home::conductor, .network = make_network};
  return command::run_program(program, argc, argv);
}
