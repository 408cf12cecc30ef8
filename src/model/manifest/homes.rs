//! The folders that may hold models, and the models in them.

use std::path::{Path, PathBuf};

use crate::model::ModelError;
use crate::text::nearest;

/// The system's folders.
const SYSTEM: [&str; 3] = ["/usr/local/lib/mimid/models", "/usr/lib/mimid/models", "/usr/share/mimid/models"];

/// The folders that may hold models, in the order in which they are searched: the one that the environment names, the folders
/// beside and above the binary (so that a build in `target/release` finds the project's own), and the system's.
pub fn all() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = std::env::var_os("MIMID_MODELS").map(PathBuf::from).into_iter().collect();
    if let Ok(exe) = std::env::current_exe() {
        homes.extend(exe.ancestors().skip(1).take(4).map(|folder| folder.join("models")));
    }
    homes.extend(of_user());
    homes.extend(SYSTEM.map(PathBuf::from));
    homes
}

/// The folder of a model, by a path or by the name of an installed model.
pub fn find(dir: &str) -> Result<PathBuf, ModelError> {
    let candidates: Vec<PathBuf> = if dir.contains('/') || dir == "." || dir == ".." {
        vec![PathBuf::from(dir)]
    } else {
        all().into_iter().map(|home| home.join(dir)).collect()
    };
    match candidates.iter().find(|folder| folder.join("manifest.toml").exists()) {
        Some(folder) => Ok(folder.clone()),
        None => {
            let there = installed();
            let suggestion = nearest(dir, there.iter().map(|(name, _)| name.as_str())).map(str::to_owned);
            Err(ModelError::NoFolder { name: dir.to_owned(), suggestion, searched: candidates })
        }
    }
}

/// All installed models: the names and the folders, in the order in which they are found. Only the first of two of one name is found.
pub fn installed() -> Vec<(String, PathBuf)> {
    let mut models: Vec<(String, PathBuf)> = Vec::new();
    for home in all() {
        let folders = home.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let with_manifest = folders.filter(|folder| folder.join("manifest.toml").exists());
        let mut named: Vec<(String, PathBuf)> = with_manifest
            .filter_map(|folder| Some((folder.file_name()?.to_str()?.to_owned(), folder)))
            .filter(|(name, _)| !models.iter().any(|(known, _)| known == name))
            .collect();
        named.sort();
        models.extend(named);
    }
    models
}

/// The folder of the user's own models; `None` without a home.
fn of_user() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    data.map(|data| data.join("mimid/models"))
}

/// The folder in which a new model is installed: the one that the environment names, the system's for root, else the user's own.
pub fn for_new() -> Option<PathBuf> {
    let named = std::env::var_os("MIMID_MODELS").filter(|home| !home.is_empty()).map(PathBuf::from);
    let system = || nix::unistd::geteuid().is_root().then(|| PathBuf::from(SYSTEM[0]));
    named.or_else(system).or_else(of_user)
}

/// The word for a model's folder by which any user finds it: its name, or its path where only this user or this environment would
/// look for it.
pub fn word_for(folder: &Path) -> String {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let is_of_system = path.parent().is_some_and(|home| SYSTEM.iter().any(|system| home == Path::new(system)));
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| is_of_system);
    name.map_or_else(|| path.display().to_string(), str::to_owned)
}
