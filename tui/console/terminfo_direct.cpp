// A terminfo entry of our own for terminals with 24-bit colour, because Debian's base system has no xterm-direct. It is
// handed to ncurses through the environment (TERMINFO=b64:..., terminfo(5)) and is gone again before any child starts.
//
// Colours 0 to 255 go out by number, larger ones as red, green and blue; no bce, so that it is right inside tmux too.
// This is what tic makes of the text below; to change it, compile the text with `tic -x` and encode the result with
// base64:
//
//   conductor-direct|xterm-like terminal with 24-bit colour,
//     am, mir, msgr, xenl, RGB, AX,
//     colors#0x1000000, pairs#0x7FFF, cols#80, lines#24, it#8,
//     bel=^G, blink=\E[5m, bold=\E[1m, dim=\E[2m, rev=\E[7m, invis=\E[8m, smso=\E[7m, rmso=\E[27m,
//     smul=\E[4m, rmul=\E[24m, sitm=\E[3m, ritm=\E[23m, sgr0=\E[m,
//     sgr=\E[0%?%p6%t;1%;%?%p5%t;2%;%?%p2%t;4%;%?%p1%p3%|%t;7%;%?%p4%t;5%;%?%p7%t;8%;m,
//     civis=\E[?25l, cnorm=\E[?25h, clear=\E[H\E[2J, cr=\r,
//     cub=\E[%p1%dD, cub1=^H, cud=\E[%p1%dB, cud1=\n, cuf=\E[%p1%dC, cuf1=\E[C,
//     cup=\E[%i%p1%d;%p2%dH, cuu=\E[%p1%dA, cuu1=\E[A, home=\E[H, hpa=\E[%i%p1%dG, vpa=\E[%i%p1%dd,
//     ech=\E[%p1%dX, ed=\E[J, el=\E[K, el1=\E[1K,
//     smcup=\E[?1049h, rmcup=\E[?1049l,
//     op=\E[39;49m,
//     setaf=\E[%?%p1%{8}%<%t3%p1%d%e%p1%{256}%<%t38;5;%p1%d%e38;2;%p1%{65536}%/%d;%p1%{256}%/%{255}%&%d;%p1%{255}%&%d%;m,
//     setab=\E[%?%p1%{8}%<%t4%p1%d%e%p1%{256}%<%t48;5;%p1%d%e48;2;%p1%{65536}%/%d;%p1%{256}%/%{255}%&%d;%p1%{255}%&%d%;m,
#include "tui/console/terminfo_direct.h"

namespace conductor::console {

const char* const direct_terminal_name = "conductor-direct";

const char* const direct_terminal_entry =
    "b64:"
    "HgI4AA8ADwBpAQgCY29uZHVjdG9yLWRpcmVjdHx4dGVybS1saWtlIHRlcm1pbmFsIHdpdGggMjQtYml0IGNvbG91cgAAAQAA"
    "AQAAAAAAAAAAAQEAUAAAAAgAAAAYAAAA/////////////////////////////////////////////////////wAAAAH/fwAA"
    "//8AAAIA/////wQADAAQABQA//8fADAAMgA2AD0A//8/AEYA//9KAP///////////////04AUwBYAP//YQD//2YA//9rAHAA"
    "dQB6AP//gwCHAP////+QAJYA////////////////////////////////////////////////////////////////////////"
    "/////////////////////////////////////////////////////////////////////////////////////////////5wA"
    "////////pQCuAP//twD////////////////////////////////AAP///////8sA////////////////////////////////"
    "////////////////////////////////////////////////////////////////////////////////////////////////"
    "////////////////////////////////////////////////////////////////////////////////////////////////"
    "////////////////////////////////////////////////////////////////////////////////////////////////"
    "/////////////////////////////////////////////xcB////////////////////////////////////////////////"
    "////////////////////////HAH//////////////////////////////////yUB////////////////////////KgH/////"
    "/////////////////////////////////////////////////////////////////////////////////////////////zAB"
    "nAEHAA0AG1tIG1sySgAbW0sAG1tKABtbJWklcDElZEcAG1slaSVwMSVkOyVwMiVkSAAKABtbSAAbWz8yNWwACAAbWz8yNWgA"
    "G1tDABtbQQAbWzVtABtbMW0AG1s/MTA0OWgAG1sybQAbWzhtABtbN20AG1s3bQAbWzRtABtbJXAxJWRYABtbbQAbWz8xMDQ5"
    "bAAbWzI3bQAbWzI0bQAbWyVwMSVkQgAbWyVwMSVkRAAbWyVwMSVkQwAbWyVwMSVkQQAbWyVpJXAxJWRkABtbMCU/JXA2JXQ7"
    "MSU7JT8lcDUldDsyJTslPyVwMiV0OzQlOyU/JXAxJXAzJXwldDs3JTslPyVwNCV0OzUlOyU/JXA3JXQ7OCU7bQAbWzFLABtb"
    "Mzk7NDltABtbM20AG1syM20AG1slPyVwMSV7OH0lPCV0MyVwMSVkJWUlcDElezI1Nn0lPCV0Mzg7NTslcDElZCVlMzg7Mjsl"
    "cDElezY1NTM2fSUvJWQ7JXAxJXsyNTZ9JS8lezI1NX0lJiVkOyVwMSV7MjU1fSUmJWQlO20AG1slPyVwMSV7OH0lPCV0NCVw"
    "MSVkJWUlcDElezI1Nn0lPCV0NDg7NTslcDElZCVlNDg7MjslcDElezY1NTM2fSUvJWQ7JXAxJXsyNTZ9JS8lezI1NX0lJiVk"
    "OyVwMSV7MjU1fSUmJWQlO20AAgAAAAAAAgAHAAEBAAADAEFYAFJHQgA=";

} // namespace conductor::console
