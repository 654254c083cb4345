//! The processes of the demo: a server that gives back the byte it gets, and clients that tell how long that takes.
//!
//! A client opens a file, connects, sends a byte, and waits for it, every [`PAUSE`]; each of that can be what a fault
//! acts on. It prints one line for each call, [`Call`]. All parts end when their standard input does, which is when the
//! demo ends, in whatever way.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::exit,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use clap::Subcommand;

use super::agent::{self, Habit, Work};

/// Between the end of a call and the next one.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a client waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What a client opens before each call; it only has to be there.
const FILE: &str = "/proc/self/comm";

/// A part, as the hidden command has it.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Gives back what it gets; its first line says where it listens
    Server,
    /// Calls the server again and again
    Client {
        /// Where the server listens
        #[arg(value_name = "ADDRESS")]
        server: SocketAddr,
    },
    /// Is a model and a tool; its first line says where it listens
    Model,
    /// Works once it gets a line, and ends
    Agent {
        /// What it expects of others
        habit: Habit,
        /// What it does
        work: Work,
        /// What its work is called
        order: String,
        /// Where model and tool listen
        #[arg(value_name = "ADDRESS")]
        server: SocketAddr,
    },
}

/// What a client prints of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It was answered after so long.
    Answered(Duration),
    /// It failed with this errno, or none where there was no answer in time.
    Failed(i32),
}

impl Part {
    /// Plays it until the demo is over.
    pub fn play(self) -> ! {
        if let Self::Agent {
            habit,
            work,
            order,
            server,
        } = &self
        {
            // Standard input is where its word comes from; it ends by itself.
            let worked = agent::work_when_told(*habit, *work, order, *server);
            exit(i32::from(worked.is_err()));
        }
        thread::spawn(move || {
            let played = match self {
                Self::Server => serve(),
                Self::Client { server } => call_again_and_again(server),
                Self::Model => agent::serve(say),
                Self::Agent { .. } => Ok(()),
            };
            // The demo has gone, or says what is missing.
            exit(i32::from(played.is_err()));
        });
        let mut nothing = [0];
        while io::stdin()
            .read(&mut nothing)
            .is_ok_and(|length| length > 0)
        {}
        exit(0)
    }
}

fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    say(&listener.local_addr()?.to_string())?;
    loop {
        let (mut connection, _) = listener.accept()?;
        thread::spawn(move || {
            let mut byte = [0];
            let _ = connection.set_nodelay(true);
            while connection.read(&mut byte).is_ok_and(|length| length > 0)
                && connection.write_all(&byte).is_ok()
            {}
        });
    }
}

fn call_again_and_again(server: SocketAddr) -> io::Result<()> {
    loop {
        let began = Instant::now();
        let call = match call(server) {
            Ok(()) => Call::Answered(began.elapsed()),
            Err(error) => Call::Failed(error.raw_os_error().unwrap_or_default()),
        };
        say(&call.to_string())?;
        thread::sleep(PAUSE);
    }
}

fn call(server: SocketAddr) -> io::Result<()> {
    drop(File::open(FILE)?);
    let mut connection = TcpStream::connect_timeout(&server, PATIENCE)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&[0])?;
    connection.read_exact(&mut [0])
}

pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

impl std::fmt::Display for Call {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(after) => write!(formatter, "answered {}", after.as_micros()),
            Self::Failed(errno) => write!(formatter, "failed {errno}"),
        }
    }
}

impl FromStr for Call {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        match line.split_once(' ') {
            Some(("answered", micros)) => micros
                .parse()
                .map(|micros| Self::Answered(Duration::from_micros(micros)))
                .map_err(drop),
            Some(("failed", errno)) => errno.parse().map(Self::Failed).map_err(drop),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_prints_is_read_back() {
        for call in [
            Call::Answered(Duration::from_micros(211)),
            Call::Failed(libc::ECONNREFUSED),
        ] {
            assert_eq!(call.to_string().parse(), Ok(call));
        }
        assert_eq!("nonsense".parse::<Call>(), Err(()));
    }
}
