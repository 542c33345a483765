// For a process that goes where /proc is another's: messages would name its directories by number only.
#pragma once

namespace conductor::kernel {

// From here on path_of() asks the /proc that is there now. Where there is none, it goes on as before.
void keep_own_descriptors();

} // namespace conductor::kernel
