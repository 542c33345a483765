// The run function of each verb. They return the exit status, or throw Error.
#pragma once

namespace conductor::command {

class Invocation;

int run_build(Invocation&);
int run_images(Invocation&);
int run_rmi(Invocation&);
int run_rmcache(Invocation&);
int run_pull(Invocation&);
int run_push(Invocation&);
int run_login(Invocation&);
int run_logout(Invocation&);
int run_exchange(Invocation&);
int run_tag(Invocation&);
int run_history(Invocation&);
int run_df(Invocation&);
int run_prune(Invocation&);
int run_volumes(Invocation&);
int run_rmvolume(Invocation&);

int run_run(Invocation&);
int run_create(Invocation&);
int run_start(Invocation&);
int run_exec(Invocation&);
int run_attach(Invocation&);
int run_stop(Invocation&);
int run_kill(Invocation&);
int run_rm(Invocation&);
int run_wait(Invocation&);
int run_restart(Invocation&);
int run_pause(Invocation&);
int run_unpause(Invocation&);
int run_rename(Invocation&);
int run_update(Invocation&);

int run_addnetwork(Invocation&);
int run_delnetwork(Invocation&);
int run_peer(Invocation&);
int run_unpeer(Invocation&);
int run_networks(Invocation&);

int run_ps(Invocation&);
int run_inspect(Invocation&);
int run_diff(Invocation&);
int run_logs(Invocation&);
int run_top(Invocation&);
int run_stats(Invocation&);
int run_sessions(Invocation&);
int run_events(Invocation&);

int run_config(Invocation&);
int run_doctor(Invocation&);
int run_demo(Invocation&);
int run_console(Invocation&);
int run_completion(Invocation&);
int run_version(Invocation&);
int run_help(Invocation&);

} // namespace conductor::command
