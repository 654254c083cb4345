//! The bodies of the fuzz targets on the stable compiler: each on its corpus, and on mutations of that.
//!
//! A crash that a fuzzer finds goes into `fuzz/corpus`, and is a test from then on.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, path::Path};

use injector_tests::fuzzing;
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};

/// The sources' root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// What a body starts from: its corpus, and the files that the project ships anyway.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut corpus = files(&root().join("fuzz/corpus").join(name));
    match name {
        "experiment" => corpus.extend(files(&root().join("configs/experiments"))),
        "api" => corpus.extend(
            files(&root().join("configs/experiments"))
                .iter()
                .map(|text| {
                    let text = std::str::from_utf8(text).unwrap();
                    let experiment =
                        injector_spec::experiment::file::parse(text, "seed.yaml", None).unwrap();
                    serde_json::to_vec(&serde_json::json!({ "experiment": experiment })).unwrap()
                }),
        ),
        "config" => corpus.push(fs::read(root().join("configs/injector.toml")).unwrap()),
        _ => {}
    }
    corpus
}

/// One change that a fuzzer would make.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let again = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let text = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..8),
        // What parsers trip over.
        prop::sample::select(vec![
            "\0",
            "\u{feff}",
            "{",
            "]",
            "\"",
            ": ",
            "- ",
            "&a ",
            "*a",
            "\n  ",
            "-1",
            "1e999",
            "18446744073709551616",
            "NaN",
            "%",
            "\\u0000",
            "\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        2 => (any::<Index>(), text).prop_map(|(at, more)| Mutation::Insert(at, more)),
        1 => (any::<Index>(), 1_usize..64).prop_map(|(at, length)| Mutation::Repeat(at, length)),
    ]
}

fn survives(name: &str) {
    let (_, body) = fuzzing::ALL
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    body(b"");
    for seed in &corpus {
        body(seed);
    }
    let changed = (
        prop::sample::select(corpus),
        prop::collection::vec(mutation(), 1..5),
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    let outcome = runner.run(&changed, |(mut bytes, mutations)| {
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        body(&bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn every_body_survives() {
    for (name, _) in fuzzing::ALL {
        survives(name);
    }
}

/// libFuzzer's targets and the bodies are the same list.
#[test]
fn every_body_has_a_libfuzzer_target() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in fuzzing::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(target.exists(), "{}", target.display());
    }
}
