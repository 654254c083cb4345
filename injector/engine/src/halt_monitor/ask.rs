//! One question of a probe.

use std::{
    net::{TcpStream, ToSocketAddrs},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{
    appended::Appended,
    exec_helper::{Ending, ExecHelper},
    http_client,
    journald::Journal,
    population::Population,
    tls::Trust,
};
use injector_host::targets::guard::Guard;
use injector_spec::{
    condition::{Bound, Host, HttpProbe, HttpUrl, Number, Pace, Probe, Wanted},
    quantity::duration,
};

/// A probe with what it has to remember from one question to the next.
pub(super) struct Asker {
    probe: Probe,
    memory: Memory,
}

/// What is remembered.
enum Memory {
    /// Nothing: the answer is all.
    None,
    /// How far a file was read.
    File(Appended),
    /// The program that follows the journal.
    Journald(Box<Journal>),
    /// Whom the server is trusted by.
    Http(Box<Trust>),
    /// Which processes there were.
    Process(Box<Population>),
}

impl Asker {
    /// A probe that was not asked yet; `guard` says which processes are never meant by a pattern.
    pub(super) fn of(probe: &Probe, guard: &Guard) -> Self {
        let memory = match probe {
            Probe::File(file) => Memory::File(Appended::to((**file).clone())),
            Probe::Journald(journald) => {
                Memory::Journald(Box::new(Journal::of((**journald).clone())))
            }
            Probe::Process(process) => {
                Memory::Process(Box::new(Population::of((**process).clone(), guard.clone())))
            }
            Probe::Http(http) => {
                Memory::Http(Box::new(Trust::of(http.url.scheme(), http.ca.as_deref())))
            }
            Probe::Prometheus { server, ca, .. } => {
                Memory::Http(Box::new(Trust::of(server.scheme(), ca.as_deref())))
            }
            Probe::Tcp(_) | Probe::Command { .. } => Memory::None,
        };
        Self {
            probe: probe.clone(),
            memory,
        }
    }

    /// Asks once. The error says in half a sentence what is wrong. It may hang beyond its time where a resolver
    /// or a file system does; the watchdog counts that itself.
    pub(super) fn ask(&mut self, pace: Pace, is_over: &AtomicBool) -> Result<(), String> {
        let begun = Instant::now();
        self.answer(pace.patience(), is_over)?;
        let took = begun.elapsed();
        // Without a time of its own a late answer is no answer: whatever asks has given up.
        if pace.timeout.is_some() && took > pace.within {
            let [took, within] = [duration::measured(took), duration::format(pace.within)];
            return Err(format!("the answer took {took}, longer than {within}"));
        }
        Ok(())
    }

    fn answer(&mut self, patience: Duration, is_over: &AtomicBool) -> Result<(), String> {
        match (&self.probe, &mut self.memory) {
            (_, Memory::File(file)) => file.ask(patience),
            (_, Memory::Journald(journal)) => journal.ask(),
            (_, Memory::Process(population)) => population.ask(),
            (Probe::Tcp(host), Memory::None) => tcp(host, patience),
            (Probe::Http(wanted), Memory::Http(trust)) => http(wanted, trust, patience),
            (Probe::Command { words, number }, Memory::None) => {
                command(words, *number, patience, is_over)
            }
            (
                Probe::Prometheus {
                    server,
                    ca: _,
                    query,
                    bound,
                },
                Memory::Http(trust),
            ) => prometheus(server, trust, query, *bound, patience),
            (
                Probe::Http(_)
                | Probe::Prometheus { .. }
                | Probe::File(_)
                | Probe::Journald(_)
                | Probe::Process(_),
                Memory::None,
            )
            | (
                Probe::Tcp(_)
                | Probe::Command { .. }
                | Probe::File(_)
                | Probe::Journald(_)
                | Probe::Process(_),
                Memory::Http(_),
            ) => Err("it is asked without its memory, which is a fault of this program".into()),
        }
    }
}

fn http(wanted: &HttpProbe, trust: &mut Trust, patience: Duration) -> Result<(), String> {
    let HttpProbe {
        url,
        ca: _,
        status,
        body,
        json,
    } = wanted;
    let answer = http_client::get(url, url.path(), trust, patience);
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status != *status {
        return Err(format!("the status is {}", answer.status));
    }
    if let Some(pattern) = body
        && !pattern.is_in(&answer.body)
    {
        return Err(format!("nothing in the body matches `{pattern}`"));
    }
    match json {
        Some(test) => test.check(&answer.body),
        None => Ok(()),
    }
}

fn command(
    words: &[String],
    number: Option<Wanted<Number>>,
    patience: Duration,
    is_over: &AtomicBool,
) -> Result<(), String> {
    let program = ExecHelper::new(words);
    let Some(wanted) = number else {
        return match program.run(patience, is_over) {
            Ending::Code(0) => Ok(()),
            other => Err(other.to_string()),
        };
    };
    let (ending, said) = program.hear(patience, is_over);
    if ending != Ending::Code(0) {
        return Err(ending.to_string());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    match said.parse::<Number>() {
        Ok(number) if wanted.is_met_by(number) => Ok(()),
        Ok(number) => Err(format!("the number is {number}")),
        Err(()) => Err(format!(
            "it printed `{}`, which is no number",
            said.escape_debug()
        )),
    }
}

fn tcp(host: &Host, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    let addresses = host
        .as_str()
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    let mut why = "the name has no address".to_owned();
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("no connection within {}", duration::format(within)));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// What Prometheus answers (its HTTP API, "Instant queries"), as far as it matters.
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Sample),
    Vector(Vec<Series>),
}

#[derive(Deserialize)]
struct Series {
    value: Sample,
}

/// A time, which the probe does not use, and a value; the value is a text, since it may be `NaN` or `+Inf`.
#[derive(Deserialize)]
struct Sample(serde::de::IgnoredAny, String);

fn prometheus(
    server: &HttpUrl,
    trust: &mut Trust,
    query: &str,
    bound: Bound,
    within: Duration,
) -> Result<(), String> {
    let base = server.path().trim_end_matches('/');
    let path = format!("{base}/api/v1/query?query={}", percent_encoded(query));
    let answer = http_client::get(server, &path, trust, within);
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("the status is {}", answer.status));
    }
    match values(&answer.body)?
        .into_iter()
        .find(|value| bound.is_broken_by(*value))
    {
        None => Ok(()),
        Some(value) => Err(format!("the value is {value}")),
    }
}

/// The values in an answer.
pub fn values(body: &[u8]) -> Result<Vec<f64>, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("the answer has no values: {error}"))?;
    let samples = match answer.data {
        Data::Scalar(sample) => vec![sample],
        Data::Vector(series) => series.into_iter().map(|series| series.value).collect(),
    };
    let value = |Sample(_, text): Sample| {
        text.parse()
            .map_err(|_| format!("`{}` is no value", text.escape_debug()))
    };
    samples.into_iter().map(value).collect()
}

/// RFC 3986, section 2.1.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_of_prometheus_have_values() {
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"a":"b"},"value":[1.5,"5"]},{"metric":{},"value":[1,"NaN"]}]}}"#;
        let values_of = |body: &[u8]| values(body).unwrap();
        assert_eq!(values_of(vector).len(), 2);
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}"#;
        assert_eq!(values_of(scalar), [f64::INFINITY]);
        let empty = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert!(values_of(empty).is_empty());
        for body in [&b"{}"[..], b"", br#"{"status":"error","error":"x"}"#] {
            assert!(values(body).is_err());
        }
    }

    proptest! {
        #[test]
        fn reading_an_answer_is_total(body in "\\PC*") {
            let _ = values(body.as_bytes());
        }

        #[test]
        fn what_is_encoded_has_no_sign_of_its_own(text in "\\PC*") {
            let encoded = percent_encoded(&text);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        }
    }
}
