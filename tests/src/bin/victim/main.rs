//! The programs that faults are put on: small, obvious, and talking JSON lines.
//!
//! A client does its operations in rounds: one round at once, or with `--wait` one for each line on
//! standard input. What it says is in `injector_tests::observation`.

mod beat;
mod completions;
mod connect;
mod count;
mod dependent;
mod dns;
mod errors;
mod files;
mod fork_tree;
mod health;
mod hog;
mod hold;
mod hostile;
mod http;
mod http_agent;
mod http_message;
mod icmp;
mod ledger;
mod model_api;
mod pattern;
mod plugin;
mod plugin_agent;
mod speak;
mod tcp;
mod tcp_bulk;
mod tools;
mod udp;
mod udp_stream;
mod ways;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// One of the small programs.
#[derive(Parser)]
struct Victim {
    #[command(subcommand)]
    role: Role,
}

/// How a client repeats itself.
#[derive(Args, Clone)]
struct Rounds {
    /// Operations in a round.
    #[arg(long, default_value_t = 10)]
    count: u64,
    /// Pause between operations.
    #[arg(long, default_value = "0ms", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// How long an operation may take.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// One round for each line on standard input instead of one at once.
    #[arg(long)]
    wait: bool,
    /// Also print every operation.
    #[arg(long)]
    each: bool,
}

/// What to send.
#[derive(Args, Clone)]
struct Payload {
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    size: usize,
}

#[derive(Subcommand)]
enum Role {
    /// Sends back what it gets; says how connections ended.
    TcpEcho {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Round trips on one connection, or on one each.
    TcpPing {
        #[arg(long)]
        connect: SocketAddr,
        /// A new connection for every operation.
        #[arg(long)]
        reconnect: bool,
        #[command(flatten)]
        payload: Payload,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Reads and checks streams, answers each with its verdict.
    TcpSink {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends `count` times `size` bytes, then waits for the sink's verdict.
    TcpBulk {
        #[arg(long)]
        connect: SocketAddr,
        #[command(flatten)]
        payload: Payload,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// A service that needs another one.
    Dependent {
        #[arg(long)]
        listen: SocketAddr,
        /// The other: a `udp-echo`.
        #[arg(long)]
        needs: SocketAddr,
        #[arg(long, value_enum)]
        character: dependent::Character,
        #[command(flatten)]
        habits: dependent::Habits,
    },
    /// A service that keeps items and acknowledges them, and makes mistakes while the other one does not answer.
    Ledger(ledger::Ledger),
    /// Sends back every datagram.
    UdpEcho {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends numbered datagrams to an echo and accounts for what comes back, all in flight at once.
    UdpFlow {
        #[arg(long)]
        connect: SocketAddr,
        #[command(flatten)]
        payload: Payload,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// One datagram after the other, each waited for.
    UdpPing {
        #[arg(long)]
        connect: SocketAddr,
        /// Name the peer with every datagram (`sendto`) instead of connecting the socket to it.
        #[arg(long)]
        unconnected: bool,
        #[command(flatten)]
        payload: Payload,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Sends numbered datagrams as fast as told and waits for no answer.
    UdpBlast {
        #[arg(long)]
        connect: SocketAddr,
        /// Datagrams per second; as fast as it goes where absent.
        #[arg(long)]
        rate: Option<u64>,
        #[command(flatten)]
        payload: Payload,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Accounts for datagrams of a blast, one summary for each line on standard input.
    UdpSink {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Connects and says which errno came.
    Connect {
        #[arg(long)]
        connect: SocketAddr,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Connects UDP sockets again and again.
    ConnectUdp {
        #[arg(long)]
        connect: SocketAddr,
        /// So many at once.
        #[arg(long, default_value_t = 1)]
        threads: u64,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Makes a system call on a file.
    File {
        #[arg(long)]
        path: PathBuf,
        #[arg(long, value_enum)]
        call: files::Call,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Speaks to a plug-in that it starts.
    PluginSpeaker {
        #[arg(long, value_enum)]
        between: plugin::Between,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// The plug-in.
    Plugin {
        /// It outlives the end of its input, for a minute.
        #[arg(long)]
        stays: bool,
    },
    /// Asks a plug-in again and again, and looks after it or does not.
    PluginAgent {
        #[command(flatten)]
        character: plugin_agent::Character,
    },
    /// Makes a system call on a file in every way there is.
    Ways {
        #[arg(long)]
        path: PathBuf,
        #[arg(long, value_enum)]
        call: ways::Call,
    },
    /// Makes it once; the exit code is the errno.
    Way {
        #[arg(long)]
        path: PathBuf,
        #[arg(long, value_enum)]
        call: ways::Call,
    },
    /// Opens a connection, says nothing on it, and reports how it ends.
    IdleTcp {
        #[arg(long)]
        connect: SocketAddr,
    },
    /// Asks a name server.
    Dns {
        #[arg(long)]
        server: SocketAddr,
        #[arg(long)]
        name: String,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Answers every question with 127.0.0.9.
    DnsServer {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Echo requests on a raw socket.
    IcmpPing {
        #[arg(long)]
        to: IpAddr,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Answers HTTP POST with JSON after about 5 ms.
    ModelApi {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Answers calls for chats, whole and in streams, as model providers do; says `call` for each.
    Completions {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Makes such calls, and says what is wrong with the answers.
    CompletionsClient(completions::Client),
    /// Has a tool that adds, called by MCP (`/mcp`, and `/events` for answers in streams) and as plain JSON (`/tools/add`);
    /// says `call` for each call.
    Tools {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Calls it, and says what is wrong with the answers.
    ToolsClient(tools::Client),
    /// Answers HTTP as no server should.
    Hostile {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Asks it as no client should.
    HostileClient(hostile::Client),
    /// Calls the model API until it is killed.
    HttpAgent {
        #[arg(long)]
        connect: SocketAddr,
        /// Keep each answer in this file.
        #[arg(long)]
        notes: Option<PathBuf>,
        /// Tell here whether a call went well of late.
        #[arg(long)]
        health: Option<SocketAddr>,
    },
    /// Pings from a process, its threads, and its children, old and new.
    ForkTree {
        #[arg(long)]
        connect: SocketAddr,
        /// Generations below this process.
        #[arg(long, default_value_t = 2)]
        depth: u32,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Asks who its parent is, rests, computes, and says whether it got SIGUSR1 since.
    Beat {
        /// CPU time of an operation.
        #[arg(long, default_value = "0ms", value_parser = humantime::parse_duration)]
        compute: Duration,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Counts for ever, in a file.
    Count {
        #[arg(long)]
        file: PathBuf,
        /// Between two numbers.
        #[arg(long, default_value = "1ms", value_parser = humantime::parse_duration)]
        pause: Duration,
    },
    /// Has so many connections with itself, and does nothing.
    HoldTcp {
        #[arg(long)]
        count: usize,
    },
    /// Does nothing.
    Sleep,
    /// Asked to, takes so much memory and keeps it for a moment.
    Hog {
        #[arg(long)]
        mebibytes: usize,
    },
}

fn main() -> Result<()> {
    // The size of a page is asked before any fault is there: before Linux 6.4 it stands in a file (`/proc/self/auxv`;
    // `prctl(PR_GET_AUXV)` is newer), and a fault on files would meet that.
    let _asked = rustix::param::page_size();
    match Victim::parse().role {
        Role::TcpEcho { listen } => tcp::echo(listen),
        Role::TcpPing {
            connect,
            reconnect,
            payload,
            rounds,
        } => tcp::ping(connect, reconnect, payload.size, &rounds),
        Role::TcpSink { listen } => tcp_bulk::sink(listen),
        Role::TcpBulk {
            connect,
            payload,
            rounds,
        } => tcp_bulk::send(connect, payload.size, &rounds),
        Role::UdpEcho { listen } => udp::echo(listen),
        Role::UdpFlow {
            connect,
            payload,
            rounds,
        } => udp::flow(connect, payload.size, &rounds),
        Role::UdpPing {
            connect,
            unconnected,
            payload,
            rounds,
        } => {
            let voice = if unconnected {
                udp::Voice::naming(connect)?
            } else {
                udp::Voice::connected(connect)?
            };
            udp::ping(&voice, payload.size, &rounds)
        }
        Role::UdpBlast {
            connect,
            rate,
            payload,
            rounds,
        } => udp_stream::blast(connect, rate, payload.size, &rounds),
        Role::UdpSink { listen } => udp_stream::sink(listen),
        Role::Connect { connect, rounds } => connect::repeat(connect, &rounds),
        Role::ConnectUdp {
            connect,
            threads,
            rounds,
        } => connect::udp(connect, threads, &rounds),
        Role::File { path, call, rounds } => files::repeat(&path, call, &rounds),
        Role::PluginSpeaker { between, rounds } => plugin::speak(between, &rounds),
        Role::Plugin { stays } => plugin::echo(stays),
        Role::PluginAgent { character } => plugin_agent::ask(&character),
        Role::Ways { path, call } => ways::all(&path, call),
        Role::Way { path, call } => ways::once(&path, call),
        Role::HoldTcp { count } => hold::connections(count),
        Role::IdleTcp { connect } => connect::idle(connect),
        Role::Dns {
            server,
            name,
            rounds,
        } => dns::ask(server, &name, &rounds),
        Role::DnsServer { listen } => dns::serve(listen),
        Role::Dependent {
            listen,
            needs,
            character,
            habits,
        } => dependent::serve(listen, needs, character, &habits),
        Role::Ledger(ledger) => ledger.serve(),
        Role::IcmpPing { to, rounds } => icmp::ping(to, &rounds),
        Role::ModelApi { listen } => model_api::serve(listen),
        Role::Completions { listen } => completions::serve(listen),
        Role::CompletionsClient(client) => completions::ask(&client),
        Role::Tools { listen } => tools::serve(listen),
        Role::ToolsClient(client) => tools::ask(&client),
        Role::Hostile { listen } => hostile::serve(listen),
        Role::HostileClient(client) => hostile::ask(&client),
        Role::HttpAgent {
            connect,
            notes,
            health,
        } => http_agent::call_for_ever(connect, notes.as_deref(), health),
        Role::ForkTree {
            connect,
            depth,
            rounds,
        } => fork_tree::run(connect, depth, &rounds),
        Role::Beat { compute, rounds } => beat::beat(compute, &rounds),
        Role::Count { file, pause } => count::for_ever(&file, pause),
        Role::Hog { mebibytes } => hog::run(mebibytes),
        Role::Sleep => {
            speak::ready(None)?;
            loop {
                std::thread::park();
            }
        }
    }
}
