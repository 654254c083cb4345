//! Takes the blanks out of the interface's description: they are half of it, and the program carries it.

use std::{env, fs, io, path::PathBuf};

const DESCRIPTION: &str = "../../configs/openapi.json";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed={DESCRIPTION}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("openapi.json");
    fs::write(out, without_blanks(&fs::read_to_string(DESCRIPTION)?))
}

/// JSON with no blank outside its texts.
fn without_blanks(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    json.chars()
        .filter(|character| {
            let stays = is_text || !character.is_ascii_whitespace();
            if *character == '"' && !is_escaped {
                is_text = !is_text;
            }
            is_escaped = is_text && *character == '\\' && !is_escaped;
            stays
        })
        .collect()
}
