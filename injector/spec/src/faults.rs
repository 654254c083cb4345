//! Every fault: one row of the list below and one file, which has its parameters and flags, what it acts on, what is
//! refused, what ramps, and its words. What faults that are alike share stands beside them, once.
//!
//! The list makes the kinds with their names and the subcommands ([`table`]). The files answer to [`Definition`], whose
//! methods have no defaults. `noop` is the pattern to copy.
//!
//! Rejected: a list without files, as attributes of one enum. What a fault refuses is code, and clap's own attributes
//! would have stood among ours.

mod acts_on;
mod definition;
#[cfg(test)]
pub(crate) mod lines;
mod table;

mod call_damage;
mod call_delay;
mod call_error;
mod files;
mod look_ups;
mod model_requests;
mod on_plugins;
mod on_requests;
mod pipes;
mod plugins;
mod processes;
mod request_fault;
mod tool_calls;

pub(crate) mod dns_delay;
pub(crate) mod dns_error;
pub(crate) mod io_corrupt;
pub(crate) mod io_error;
pub(crate) mod io_latency;
pub(crate) mod io_short;
pub(crate) mod llm_cut;
pub(crate) mod llm_empty;
pub(crate) mod llm_error;
pub(crate) mod llm_malformed;
pub(crate) mod llm_overload;
pub(crate) mod llm_rate_limit;
pub(crate) mod llm_slow;
pub(crate) mod llm_stall;
pub(crate) mod llm_timeout;
pub(crate) mod llm_wrong_model;
pub(crate) mod net_bandwidth;
pub(crate) mod net_blackhole;
pub(crate) mod net_connect;
pub(crate) mod net_corrupt;
pub(crate) mod net_delay;
pub(crate) mod net_duplicate;
pub(crate) mod net_loss;
pub(crate) mod net_partition;
pub(crate) mod net_reorder;
pub(crate) mod net_reset;
pub(crate) mod noop;
pub(crate) mod pipe_corrupt;
pub(crate) mod pipe_delay;
pub(crate) mod pipe_error;
pub(crate) mod pipe_stall;
pub(crate) mod plugin_crash_loop;
pub(crate) mod plugin_hang;
pub(crate) mod plugin_kill;
mod plugin_once;
pub(crate) mod plugin_pipe_held_death;
pub(crate) mod plugin_slow_start;
pub(crate) mod plugin_torn_line;
pub(crate) mod proc_kill;
pub(crate) mod proc_kill_at_call;
pub(crate) mod proc_pause;
pub(crate) mod proc_starve;
pub(crate) mod sys_delay;
pub(crate) mod sys_error;
pub(crate) mod tool_corrupt;
pub(crate) mod tool_empty;
pub(crate) mod tool_error;
pub(crate) mod tool_inject;
pub(crate) mod tool_is_error;
pub(crate) mod tool_schema_mismatch;
pub(crate) mod tool_slow;
pub(crate) mod tool_stale;
pub(crate) mod tool_timeout;

pub use self::{
    acts_on::{About, ActsOn, Fate, OnCalls, OnLookUps, OnPackets, OnProcesses},
    call_damage::{CallDamage, Filling},
    call_delay::{CallDelay, LONGEST_CHAIN, LONGEST_SLEEP, SleepAt, Sleeps},
    call_error::{CallError, Realism},
    model_requests::{ModelRequests, Provider, RequestsBy},
    on_plugins::OnPlugins,
    on_requests::{OnModels, OnRequests, OnTools},
    plugins::{PluginNameError, PluginNames, Plugins},
    processes::{ProcessFaultError, Respawn},
    request_fault::THROUGH_THE_RELAY,
    tool_calls::{Interface, ToolCallError, ToolCalls},
};
pub(crate) use self::{
    call_damage::{MOST_BYTES, MOST_PLACES},
    definition::{Definition, Drawn, Numbers},
};

use self::table::{binding, faults, first, none_of};
use crate::{
    experiment::{Fault, decided::Decided},
    grammar::With,
};

faults! {
    /// Faults of no family.
    PlainFault {
        "noop" Noop = noop::Noop {
            /// Count packets and do nothing else: the pattern for a new fault
            #[command(hide = true)]
            Noop(noop::Flags)
        }
    }

    /// The faults on packets and connections.
    NetFault {
        "net.delay" Delay(net_delay::Delay) {
            /// Packets arrive later
            Delay(net_delay::Flags)
        }
        "net.loss" Loss(net_loss::Loss) {
            /// Packets are lost on the wire: senders see no error, TCP retransmits
            Loss(net_loss::Flags)
        }
        "net.corrupt" Corrupt(net_corrupt::Corrupt) {
            /// Packets are damaged
            Corrupt(net_corrupt::Flags)
        }
        "net.duplicate" Duplicate = net_duplicate::Duplicate {
            /// Packets arrive twice
            Duplicate(net_duplicate::Flags)
        }
        "net.reorder" Reorder(net_reorder::Reorder) {
            /// Packets overtake others
            Reorder(net_reorder::Flags)
        }
        "net.bandwidth" Bandwidth(net_bandwidth::Bandwidth) {
            /// The link is slow
            Bandwidth(net_bandwidth::Flags)
        }
        "net.blackhole" Blackhole = net_blackhole::Blackhole {
            /// Nothing gets through
            Blackhole(net_blackhole::Flags)
        }
        "net.partition" Partition(net_partition::Partition) {
            /// Nothing gets through to some peers
            Partition(net_partition::Flags)
        }
        "net.reset" Reset = net_reset::Reset {
            /// Established connections break: the target sees ECONNRESET, its peers a reset
            Reset(net_reset::Flags)
        }
        "net.connect" Connect(net_connect::Connect) {
            /// connect(2) fails at once
            Connect(net_connect::Flags)
        }
    }

    /// The faults on look-ups of names.
    DnsFault {
        "dns.error" DnsError(dns_error::DnsError) {
            /// Queries over UDP port 53 fail
            Error(dns_error::Flags)
        }
        "dns.delay" DnsDelay(dns_delay::DnsDelay) {
            /// Queries over UDP port 53 reach the resolver later
            Delay(dns_delay::Flags)
        }
    }

    /// The faults on what a process asks of language models.
    LlmFault {
        "llm.rate-limit" RateLimit(llm_rate_limit::RateLimit) {
            /// The provider says that its limit is reached
            RateLimit(llm_rate_limit::Flags)
        }
        "llm.error" ModelError(llm_error::ModelError) {
            /// The provider answers with an error
            Error(llm_error::Flags)
        }
        "llm.overload" Overload(llm_overload::Overload) {
            /// The provider has too much to do: at once, or in the middle of an answer
            Overload(llm_overload::Flags)
        }
        "llm.timeout" Timeout(llm_timeout::Timeout) {
            /// No answer comes, whether or not the request took effect
            Timeout(llm_timeout::Flags)
        }
        "llm.slow" Slow(llm_slow::Slow) {
            /// The model answers slowly: the first token, or each of them
            Slow(llm_slow::Flags)
        }
        "llm.stall" Stall(llm_stall::Stall) {
            /// An answer stops half-way, and its connection stays open
            Stall(llm_stall::Flags)
        }
        "llm.cut" Cut(llm_cut::Cut) {
            /// An answer ends half-way, as if it were complete or not
            Cut(llm_cut::Flags)
        }
        "llm.malformed" Malformed(llm_malformed::Malformed) {
            /// An answer cannot be read
            Malformed(llm_malformed::Flags)
        }
        "llm.empty" Empty(llm_empty::Empty) {
            /// The model answers nothing
            Empty(llm_empty::Flags)
        }
        "llm.wrong-model" WrongModel(llm_wrong_model::WrongModel) {
            /// Another model answers than the one that was asked
            WrongModel(llm_wrong_model::Flags)
        }
    }

    /// The faults on calls of tools.
    ToolFault {
        "tool.error" ToolError(tool_error::ToolError) {
            /// The protocol answers with an error: the call was not carried out
            Error(tool_error::Flags)
        }
        "tool.is-error" ToolIsError(tool_is_error::ToolIsError) {
            /// The tool says that it has failed, in a result that is well formed
            IsError(tool_is_error::Flags)
        }
        "tool.timeout" ToolTimeout(tool_timeout::ToolTimeout) {
            /// No answer comes, whether or not the call took effect
            Timeout(tool_timeout::Flags)
        }
        "tool.slow" ToolSlow(tool_slow::ToolSlow) {
            /// Tools answer later
            Slow(tool_slow::Flags)
        }
        "tool.empty" ToolEmpty(tool_empty::ToolEmpty) {
            /// A tool answers with nothing in it
            Empty(tool_empty::Flags)
        }
        "tool.corrupt" ToolCorrupt(tool_corrupt::ToolCorrupt) {
            /// The answer of a tool is damaged: its text, or its JSON
            Corrupt(tool_corrupt::Flags)
        }
        "tool.schema-mismatch" ToolSchemaMismatch(tool_schema_mismatch::ToolSchemaMismatch) {
            /// The answer of a tool has another shape than its schema promises
            SchemaMismatch(tool_schema_mismatch::Flags)
        }
        "tool.stale" ToolStale(tool_stale::ToolStale) {
            /// A tool gives the answer again that it gave last
            Stale(tool_stale::Flags)
        }
        "tool.inject" ToolInject(tool_inject::ToolInject) {
            /// A text is added to the answer of a tool, as a prompt injection
            Inject(tool_inject::Flags)
        }
    }

    /// The faults on processes as wholes.
    ProcFault {
        "proc.kill" Kill(proc_kill::Kill) {
            /// Processes get a signal, once or every so often
            Kill(proc_kill::Flags)
        }
        "proc.kill-at-call" KillAtCall(proc_kill_at_call::KillAtCall) as "proc.kill" {}
        "proc.pause" Pause(proc_pause::Pause) {
            /// Processes stand still, all the time or in turns
            Pause(proc_pause::Flags)
        }
        "proc.starve" Starve(proc_starve::Starve) {
            /// A cgroup gets less CPU time, memory, disk or processes than it wants
            Starve(proc_starve::Flags)
        }
    }

    /// The faults on plug-ins of a process.
    PluginFault {
        "plugin.kill" PluginKill(plugin_kill::PluginKill) {
            /// Plug-ins die, once
            Kill(plugin_kill::Flags)
        }
        "plugin.hang" PluginHang(plugin_hang::PluginHang) {
            /// Plug-ins stand still, and their pipes stay open
            Hang(plugin_hang::Flags)
        }
        "plugin.pipe-held-death" PluginPipeHeldDeath(plugin_pipe_held_death::PluginPipeHeldDeath) {
            /// Plug-ins die, and their pipes stay open: the process reads no end
            PipeHeldDeath(plugin_pipe_held_death::Flags)
        }
        "plugin.crash-loop" PluginCrashLoop(plugin_crash_loop::PluginCrashLoop) {
            /// Plug-ins die again and again, shortly after each start
            CrashLoop(plugin_crash_loop::Flags)
        }
        "plugin.slow-start" PluginSlowStart(plugin_slow_start::PluginSlowStart) {
            /// Plug-ins that are started stand still for a while first
            SlowStart(plugin_slow_start::Flags)
        }
        "plugin.torn-line" PluginTornLine(plugin_torn_line::PluginTornLine) {
            /// Half a line is put into what plug-ins say: the framing is lost
            TornLine(plugin_torn_line::Flags)
        }
    }

    /// The faults on system calls.
    SysFault {
        "sys.error" SysError(sys_error::SysError) {
            /// System calls fail
            Error(sys_error::Flags)
        }
        "sys.delay" SysDelay(sys_delay::SysDelay) {
            /// System calls take longer: the calling thread sleeps, others go on
            Delay(sys_delay::Flags)
        }
    }

    /// The faults on files.
    IoFault {
        "io.error" IoError(io_error::IoError) {
            /// Files cannot be used
            Error(io_error::Flags)
        }
        "io.latency" IoLatency(io_latency::IoLatency) {
            /// Files are slow: the calling thread sleeps, others go on
            Latency(io_latency::Flags)
        }
        "io.corrupt" IoCorrupt(io_corrupt::IoCorrupt) {
            /// What is read from files is damaged; the files stay as they are
            Corrupt(io_corrupt::Flags)
        }
        "io.short" IoShort(io_short::CallShort) {
            /// Files are read and written in smaller pieces than asked (readv, writev and their kin)
            Short(io_short::Flags)
        }
    }

    /// The faults on pipes and unix sockets.
    PipeFault {
        "pipe.error" PipeError(pipe_error::PipeError) {
            /// Pipes and unix sockets cannot be used
            Error(pipe_error::Flags)
        }
        "pipe.delay" PipeDelay(pipe_delay::PipeDelay) {
            /// Pipes and unix sockets are slow: the calling thread sleeps, others go on
            Delay(pipe_delay::Flags)
        }
        "pipe.stall" PipeStall(pipe_stall::PipeStall) {
            /// Pipes and unix sockets stand still until the fault ends
            Stall(pipe_stall::Flags)
        }
        "pipe.corrupt" PipeCorrupt(pipe_corrupt::PipeCorrupt) {
            /// What is read from pipes and unix sockets is damaged
            Corrupt(pipe_corrupt::Flags)
        }
    }
}
