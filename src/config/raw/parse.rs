//! Reading the text of a file section by section; one fault hides no other.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{
    Named, Raw, RawClips, RawDetection, RawGate, RawGroup, RawHook, RawHttp, RawLog, RawMembers, RawModel, RawMqtt, RawPrivacy,
    RawReload, RawReport, RawSocket, RawSource, RawStore, RawSummary, SECTIONS,
};
use crate::config::table::{Reader, Table};
use crate::config::{Fault, Faults};
use crate::text::{did_you_mean, nearest};

/// The tables of a list that is written `[[name]]`, each with its line.
fn list<T>(
    name: &str,
    value: &DeValue,
    line: Option<usize>,
    reader: &mut Reader,
    read: fn(&mut Table) -> T,
) -> Vec<(Option<usize>, T)> {
    let mut found = Vec::new();
    let DeValue::Array(items) = value else {
        reader.wrong_type(line, name, value, &format!("a list of tables, each written [[{name}]]"));
        return found;
    };
    for (index, item) in items.iter().enumerate() {
        let line = Some(reader.line(item.span().start));
        match item.get_ref() {
            DeValue::Table(table) => {
                let mut table = Table::new(table, format!("{name}[{}]", index + 1), reader);
                found.push((line, read(&mut table)));
                table.finish();
            }
            other => reader.wrong_type(line, name, other, &format!("a table, written [[{name}]]")),
        }
    }
    found
}

impl Raw {
    /// Reads the text of a file; what is wrong with it is in `faults`.
    pub fn parse(text: &str, path: Option<&Path>) -> Self {
        let mut raw = Raw { path: path.map(PathBuf::from), ..Raw::default() };
        let mut reader = Reader { text, path: raw.path.clone(), faults: Faults::default() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map(|span| reader.line(span.start));
            reader.fault(line, "", format!("this is not TOML: {}", error.message().replace('\n', " ")));
        }
        // The readable rest of a broken file would only bring faults that are none.
        if reader.faults.is_empty() {
            raw.read(root.get_ref(), &mut reader);
        }
        raw.faults = reader.faults;
        raw
    }

    /// A fault of `[detection]` as a whole: its numbers do not suit the model.
    pub(in crate::config) fn detection_fault(&self, message: String) -> Fault {
        let raw = &self.detection;
        let windows = [raw.windows_ms.line, raw.hop_ms.line, raw.strides.line, raw.steady_stride.line, raw.noise_gate_dbfs.line];
        let curve = [raw.delta.line, raw.median.line, raw.extent.line, raw.valley.line];
        let line = windows.into_iter().chain(curve).flatten().min();
        Fault { path: self.path.clone(), line, key: "detection".to_owned(), message }
    }

    fn read(&mut self, root: &DeTable, reader: &mut Reader) {
        for (key, value) in root.iter() {
            let line = Some(reader.line(key.span().start));
            let name = key.get_ref().as_ref();
            match (name, value.get_ref()) {
                ("source", value) => self.sources.extend(list(name, value, line, reader, RawSource::read)),
                ("hooks", value) => self.hooks.extend(list(name, value, line, reader, RawHook::read)),
                (name, DeValue::Table(table)) if SECTIONS.contains(&name) => self.section(name, table, reader),
                (name, other) if SECTIONS.contains(&name) => reader.wrong_type(line, name, other, "a table"),
                (name, _) => {
                    let hint = did_you_mean(nearest(name, SECTIONS));
                    reader.fault(line, name, format!("there is no such section{hint}"));
                }
            }
        }
    }

    fn section(&mut self, name: &str, table: &DeTable, reader: &mut Reader) {
        match name {
            "labels" => {
                for (label, line, table) in named(table, name, reader) {
                    let mut table = Table::new(table, format!("labels.{label:?}"), reader);
                    let body = RawGate::read(&mut table);
                    table.finish();
                    self.labels.push(Named { name: label, line, body });
                }
                return;
            }
            "groups" => {
                for (group, line, table) in named(table, name, reader) {
                    let mut table = Table::new(table, format!("groups.{group}"), reader);
                    let body = RawGroup { members: RawMembers::read(&mut table), gate: RawGate::read(&mut table) };
                    table.finish();
                    self.groups.push(Named { name: group, line, body });
                }
                return;
            }
            "sinks" => {
                for (sink, line, table) in named(table, name, reader) {
                    let mut inner = Table::new(table, format!("sinks.{sink}"), reader);
                    match sink.as_str() {
                        "mqtt" => self.sinks.mqtt = RawMqtt::read(&mut inner),
                        "http" => self.sinks.http = RawHttp::read(&mut inner),
                        _ => {
                            let hint = did_you_mean(nearest(&sink, SINKS));
                            reader.fault(line, &format!("sinks.{sink}"), format!("there is no such sink{hint}"));
                            continue;
                        }
                    }
                    inner.finish();
                }
                return;
            }
            _ => {}
        }
        let mut table = Table::new(table, name.to_owned(), reader);
        match name {
            "socket" => self.socket = RawSocket::read(&mut table),
            "model" => self.model = RawModel::read(&mut table),
            "detection" => self.detection = RawDetection::read(&mut table),
            "defaults" => self.defaults = RawGate::read(&mut table),
            "report" => self.report = RawReport::read(&mut table),
            "privacy" => self.privacy = RawPrivacy::read(&mut table),
            "store" => self.store = RawStore::read(&mut table),
            "summary" => self.summary = RawSummary::read(&mut table),
            "clips" => self.clips = RawClips::read(&mut table),
            "reload" => self.reload = RawReload::read(&mut table),
            _ => self.log = RawLog::read(&mut table),
        }
        table.finish();
    }
}

/// The names of the sinks.
const SINKS: [&str; 2] = ["mqtt", "http"];

/// The tables inside `[labels]`, `[groups]` or `[sinks]`.
fn named<'t, 'i>(table: &'t DeTable<'i>, section: &str, reader: &mut Reader) -> Vec<(String, Option<usize>, &'t DeTable<'i>)> {
    let mut tables = Vec::new();
    for (key, value) in table.iter() {
        let name = key.get_ref().to_string();
        let line = Some(reader.line(key.span().start));
        match value.get_ref() {
            DeValue::Table(table) => tables.push((name, line, table)),
            other => {
                reader.wrong_type(line, &format!("{section}.{name}"), other, &format!("a table, written [{section}.{name:?}]"))
            }
        }
    }
    tables
}
