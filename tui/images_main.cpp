// conductor-images: the same command line with the room that makes images, which needs libcrypto and others. `conductor
// build`, `pull` and their like become it, and `conductor run` when the image is not there.
#include "net/network.h"
#include "tui/command/making_images.h"

int main(int argc, char** argv)
{
  using namespace conductor;
  const command::Program program{.home = command::Home::images,
                                 .network = make_network,
                                 .build = command::build_image,
                                 .exchange = command::exchange_images,
                                 .pull = command::pull_images,
                                 .push = command::push_image,
                                 .login = command::log_in,
                                 .logout = command::log_out,
                                 .obtain = command::obtain_image};
  return command::run_program(program, argc, argv);
}
