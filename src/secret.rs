//! Reads a secret from a file, from the environment, or from systemd's credentials. No secret is logged.

use std::path::{Path, PathBuf};

/// The most bytes of a file that are read. No secret is longer.
const LONGEST: u64 = 64 * 1024;

/// The secret in `file`. Without a file it is that in the environment variable `variable`, or else systemd's credential
/// `credential`.
///
/// # Errors
/// One sentence that names the file or the variable.
pub fn read(file: Option<&Path>, variable: &str, credential: &str) -> Result<Option<String>, String> {
    if let Some(file) = file {
        return from_file(file).map(Some);
    }
    if let Some(secret) = std::env::var_os(variable).filter(|secret| !secret.is_empty()) {
        let utf8 = secret.into_string();
        return utf8.map(Some).map_err(|_| format!("${variable} is not UTF-8"));
    }
    let handed = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(credential));
    handed.filter(|path| path.exists()).map(|path| from_file(&path)).transpose()
}

/// The text of the file, without the newline at its end.
fn from_file(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let failed = |error: std::io::Error| format!("the secret in {} cannot be read: {error}", path.display());
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).map_err(failed)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("{} holds no secret; it is empty", path.display())) } else { Ok(secret.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_without_the_end_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (text, secret) in [("abc", "abc"), ("a b\n", "a b"), ("abc\r\n", "abc")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(Some(&path), "NONE", "none").unwrap().unwrap(), secret);
        }
    }

    #[test]
    fn a_missing_or_empty_file_is_a_sentence_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let missing = read(Some(&path), "NONE", "none").unwrap_err();
        assert!(missing.contains("secret cannot be read: No such file"), "{missing}");
        std::fs::write(&path, "\n").unwrap();
        assert!(read(Some(&path), "NONE", "none").unwrap_err().ends_with("it is empty"));
    }

    #[test]
    fn without_any_there_is_none() {
        assert_eq!(read(None, "MIMID_NO_SUCH_SECRET", "none").unwrap(), None);
    }
}
