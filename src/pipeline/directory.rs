//! The directory: the part of the configuration and the model that the publishing stage needs.

use std::path::PathBuf;

use crate::config::{Config, Raw, print};
use crate::model::Model;
use crate::publish::shared::Directory;
use crate::publish::wire::ModelInfo;

/// The configuration file, with every symbolic link followed.
pub(super) fn file(raw: &Raw) -> Option<PathBuf> {
    raw.path.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
}

/// The directory of a configuration and its model.
pub(super) fn directory(model: &Model, raw: &Raw, config: &Config) -> Directory {
    let labels = &model.labels;
    Directory {
        model: ModelInfo { name: model.name.clone(), sha256: model.sha256.clone(), labels: labels.len() },
        labels: labels.clone(),
        config: file(raw).map(|path| path.display().to_string()),
        effective: print::effective(config, labels),
        rules: config.rules.clone(),
        ignored: config.ignored.clone(),
        sources: config.sources.iter().map(|source| source.name.clone()).collect(),
        areas: config.areas.clone(),
    }
}
