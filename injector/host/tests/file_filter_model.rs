//! What filters on files mean, against what is made of them: from the words of an experiment file to the decision about a file of a small tree, which has
//! symbolic and hard links, and in which files are made and replaced after the plan.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use injector_common::{
    call::{DEPTH, MOST_TWINS, Meets, PathEntry, filters, reach},
    glob,
};
use proptest::{prelude::*, sample::select};

use injector_host::{
    kernel::netns::Namespace,
    targets::{Place, PlaceError, Places, ResolvedTarget},
};
use injector_plan::{CallPlan, Names, Plan};
use injector_spec::experiment::{Experiment, Follow, OnCalls, file};

/// Folders of every tree; one is called like a file, and one is a symbolic link to another.
const FOLDERS: [&str; 4] = ["a", "a/b", "c.db", "d"];
const LINKED_FOLDER: (&str, &str) = ("ln", "a");

/// Where files may be.
const FILES: [&str; 10] = [
    "x.db",
    "y.db",
    "x.log",
    "a/x.db",
    "a/y.db",
    "a/b/x.db",
    "a/b/x.log",
    "c.db/x.db",
    "c.db/k",
    "d/x.log",
];

/// Symbolic links to files, and where they lead.
const LINKS: [(&str, &str); 3] = [
    ("to-x", "a/x.db"),
    ("a/to-y", "../y.db"),
    ("d/to-to-x", "../to-x"),
];

/// A second name of a file.
const HARD_LINK: (&str, &str) = ("d/hard.db", "a/b/x.db");

/// A pattern as a person means it.
#[derive(Clone, Debug)]
enum Asked {
    /// This file, or this folder and all below it.
    Exact(&'static str),
    /// Files of such a name directly in a folder.
    In(&'static str, &'static str),
    /// Files of such a name anywhere below a folder.
    Below(&'static str, &'static str),
}

impl Asked {
    /// As a person writes it.
    fn text(&self, root: &Path) -> String {
        let below = |folder: &str| root.join(folder).display().to_string();
        let folder = |folder: &str| below(folder).trim_end_matches('/').to_owned();
        match self {
            Self::Exact(path) => below(path),
            Self::In(of, name) => format!("{}/{name}", folder(of)),
            Self::Below(of, name) => format!("{}/**/{name}", folder(of)),
        }
    }
}

/// A tree, what is asked about it, and what becomes of it later.
#[derive(Clone, Debug)]
struct Story {
    files: Vec<&'static str>,
    asked: Vec<Asked>,
    is_future: bool,
    fault: (&'static str, &'static str),
    later: Vec<&'static str>,
}

/// Faults on files, and what each cannot do without.
const FAULTS: [(&str, &str); 6] = [
    ("io.error", "errno: EIO"),
    ("io.latency", "latency: 1ms"),
    ("io.corrupt", "max-length: 8"),
    ("io.short", "at-most: 2"),
    ANY_FILE,
    ("sys.delay", "syscall: openat, delay-enter: 1ms"),
];

/// A fault that may go without a path.
const ANY_FILE: (&str, &str) = ("sys.error", "syscall: openat, errno: EIO");

/// Makes a file, or puts another one in the place of one that is there, as programs do that save safely.
fn save(path: &Path) {
    let new = path.with_extension("new");
    File::create(&new).unwrap();
    fs::rename(new, path).unwrap();
}

fn plant(root: &Path, files: &[&str]) {
    for folder in FOLDERS {
        fs::create_dir(root.join(folder)).unwrap();
    }
    let (name, to) = LINKED_FOLDER;
    symlink(to, root.join(name)).unwrap();
    for (name, to) in LINKS {
        symlink(to, root.join(name)).unwrap();
    }
    for file in files {
        save(&root.join(file));
    }
    let (name, of) = HARD_LINK;
    if files.contains(&of) {
        fs::hard_link(root.join(of), root.join(name)).unwrap();
    }
}

/// All files and folders below one, by where they really are.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(all_below(&entry.path()));
        }
        if !kind.is_symlink() {
            found.push(entry.path());
        }
    }
    found
}

/// What a pattern means, found out before anything changes.
enum Meaning {
    /// A folder and all below it.
    Folder(PathBuf),
    /// A file, by whatever name, and what takes its place.
    File(u64, Vec<PathBuf>),
    /// What comes to be at one of these places.
    ToCome(Vec<PathBuf>),
    /// Names in a folder.
    Names(PathBuf, &'static str, bool),
    /// There is no such thing.
    Nothing,
}

/// The real folder of a path, with the name in it.
fn place(path: &Path) -> PathBuf {
    let folder = fs::canonicalize(path.parent().unwrap()).unwrap();
    folder.join(path.file_name().unwrap())
}

/// Each place by which the file of a path is found: its own, and those that symbolic links lead to.
fn stations(path: &Path) -> Vec<PathBuf> {
    let here = place(path);
    match fs::read_link(&here) {
        Ok(to) => {
            let mut all = stations(&here.parent().unwrap().join(to));
            all.push(here);
            all
        }
        Err(_) => vec![here],
    }
}

fn meaning(asked: &Asked, root: &Path, is_future: bool) -> Meaning {
    let real = |folder: &str| fs::canonicalize(root.join(folder)).unwrap();
    match asked {
        Asked::In(folder, name) => Meaning::Names(real(folder), name, false),
        Asked::Below(folder, name) => Meaning::Names(real(folder), name, true),
        Asked::Exact(path) => {
            let path = root.join(path);
            match fs::metadata(&path) {
                Ok(about) if about.is_dir() => Meaning::Folder(fs::canonicalize(path).unwrap()),
                Ok(about) => Meaning::File(about.ino(), stations(&path)),
                Err(_) if is_future => Meaning::ToCome(stations(&path)),
                Err(_) => Meaning::Nothing,
            }
        }
    }
}

/// Whether a name is meant by a pattern with stars for anything and question marks for one letter.
fn is_named(pattern: &str, name: &str) -> bool {
    let text = regex::escape(pattern)
        .replace(r"\*", ".*")
        .replace(r"\?", ".");
    regex::Regex::new(&format!("^{text}$"))
        .unwrap()
        .is_match(name)
}

fn means(meaning: &Meaning, path: &Path) -> bool {
    match meaning {
        Meaning::Folder(folder) => path.starts_with(folder),
        Meaning::File(inode, places) => {
            fs::metadata(path).unwrap().ino() == *inode || places.iter().any(|place| place == path)
        }
        Meaning::ToCome(places) => places.iter().any(|place| place == path),
        Meaning::Names(folder, pattern, is_deep) => {
            let is_there = if *is_deep {
                path.starts_with(folder) && path != folder
            } else {
                path.parent() == Some(folder)
            };
            is_there && is_named(pattern, path.file_name().unwrap().to_str().unwrap())
        }
        Meaning::Nothing => false,
    }
}

/// What is made of the words.
fn planned(story: &Story, paths: &[String]) -> (Experiment, CallPlan) {
    let (fault, parameters) = story.fault;
    let future = story.is_future && !paths.is_empty();
    let paths = if paths.is_empty() {
        String::new()
    } else {
        format!(", path: {paths:?}, future: {future}")
    };
    let text = format!(
        "name: x\ntargets:\n  t: {{ pid: 1 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - {fault}: {{ target: t, {parameters}{paths} }}\n"
    );
    let experiment = file::parse(&text, "x", None).unwrap();
    let plan = Plan::make(&experiment, &Names::default(), 1, &|_| true).unwrap();
    let calls = plan.rules.into_iter().next().unwrap().compiled.calls;
    (experiment, calls.unwrap())
}

/// What the programs are told about the files.
fn told(experiment: &Experiment) -> Result<BTreeMap<Place, PathEntry>, PlaceError> {
    let target = ResolvedTarget {
        name: "t".into(),
        selected_by: String::new(),
        processes: Vec::new(),
        follow: Follow::Process,
        picked: None,
        cgroup: None,
        namespace: Namespace::current().unwrap(),
    };
    let (_, fault) = experiment.faults().next().unwrap();
    let calls = fault.kind.on_calls().map(OnCalls::calls).unwrap();
    Ok(Places::of(calls, &target)?.entries())
}

/// The climb of the BPF programs from a file to the root of its file system, as `injector-ebpf/src/names.rs` has it.
fn climb(entries: &BTreeMap<Place, PathEntry>, file: &Path) -> bool {
    let name = file.file_name().unwrap().as_encoded_bytes();
    let device = entries.keys().next().map_or(0, |place| place.device);
    let mut steps = 0..DEPTH + MOST_TWINS;
    for (level, at) in (0..).zip(file.ancestors()) {
        let inode = fs::metadata(at).unwrap().ino();
        for nth in 0.. {
            assert!(steps.next().is_some(), "the climb ends too early");
            let place = Place { device, inode, nth };
            let Some(entry) = entries.get(&place) else {
                break;
            };
            let pattern = &entry.name[..entry.name_length as usize];
            match entry.meets(level) {
                Meets::Yes => return true,
                Meets::ByName if glob::matches(pattern, name) => return true,
                Meets::ByName | Meets::No if entry.reach & reach::MORE != 0 => {}
                Meets::ByName | Meets::No => break,
            }
        }
    }
    false
}

fn asked() -> impl Strategy<Value = Asked> {
    let exact = prop_oneof![
        4 => select(&FILES[..]),
        1 => select(&FOLDERS[..]),
        2 => select(vec!["to-x", "a/to-y", "d/to-to-x", "ln/x.db", "d/hard.db", "ln", "nowhere"]),
    ];
    let folder = select(vec!["", "a", "a/b", "c.db", "d", "ln"]);
    let name = select(vec!["*.db", "x.*", "*", "?", "?.db", "*x*", "x.d?"]);
    prop_oneof![
        2 => exact.prop_map(Asked::Exact),
        1 => (folder.clone(), name.clone()).prop_map(|(folder, name)| Asked::In(folder, name)),
        1 => (folder, name).prop_map(|(folder, name)| Asked::Below(folder, name)),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    (
        prop::sample::subsequence(&FILES[..], 0..=FILES.len()),
        prop::collection::vec(asked(), 0..5),
        any::<bool>(),
        select(&FAULTS[..]),
        prop::sample::subsequence(&FILES[..], 0..=FILES.len()),
    )
        .prop_map(|(files, asked, is_future, fault, later)| Story {
            files,
            // Faults on files want to know which.
            fault: if asked.is_empty() { ANY_FILE } else { fault },
            asked,
            is_future,
            later,
        })
}

/// Each file of the story's end: whether it is met, and whether it is meant. `None` where a file is missing that is
/// not to come, which is refused.
fn ended(story: &Story) -> Option<Vec<(PathBuf, bool, bool)>> {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    plant(&root, &story.files);
    let paths: Vec<String> = story.asked.iter().map(|one| one.text(&root)).collect();
    let meant: Vec<Meaning> = story
        .asked
        .iter()
        .map(|one| meaning(one, &root, story.is_future))
        .collect();
    let (experiment, calls) = planned(story, &paths);
    let asks = calls.record.filters & filters::PATH != 0;
    let told = told(&experiment);
    let is_missing = meant.iter().any(|one| matches!(one, Meaning::Nothing));
    if is_missing {
        assert!(matches!(told, Err(PlaceError::Nowhere { .. })), "{told:?}");
        return None;
    }
    let told = told.unwrap();
    for file in &story.later {
        save(&root.join(file));
    }
    let judge = |path: PathBuf| {
        let is_met = !asks || climb(&told, &path);
        let is_meant = meant.is_empty() || meant.iter().any(|one| means(one, &path));
        (path, is_met, is_meant)
    };
    Some(all_below(&root).into_iter().map(judge).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_path_acts_on_the_files_that_it_says(story in story()) {
        for (path, is_met, is_meant) in ended(&story).unwrap_or_default() {
            prop_assert_eq!(is_met, is_meant, "{}", path.display());
        }
    }
}

#[test]
fn the_model_meets_files_of_both_kinds() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut draw = || ended(&story().new_tree(&mut runner).unwrap().current());
    let stories: Vec<_> = (0..80).filter_map(|_| draw()).collect();
    let (met, spared): (Vec<_>, Vec<_>) = stories.iter().flatten().partition(|one| one.1);
    assert!(
        stories.len() > 20 && met.len() > 60 && spared.len() > 60,
        "{} stories, {} files met, {} spared",
        stories.len(),
        met.len(),
        spared.len()
    );
}
