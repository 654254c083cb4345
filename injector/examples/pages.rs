//! `pages FOLDER`: writes the man pages and the completions of the command line, for `cargo xtask dist`.
//!
//! An example, because what it takes is then a dependency for developers alone, and no part of the program. Rejected:
//! a hidden command of the program, which would carry the generators to every host; and to have xtask depend on this
//! crate, which would build all of injector before each of its tasks.

use std::{env, error::Error, fs, path::PathBuf};

use clap_complete::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("name the folder to write into")?;
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder)?;
    }
    clap_mangen::generate_to(injector::cli::command(), man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(
            shell,
            &mut injector::cli::command(),
            "injector",
            &completions,
        )?;
    }
    Ok(())
}
