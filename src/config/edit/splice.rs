//! Splices: each function returns the text of a configuration with one key set.
//!
//! The functions know TOML's ways to write a table (header, inline, dotted keys), and nothing of the meaning of a key.

use std::ops::Range;

use toml_edit::{Array, Document, Item, Key, TableLike, Value};

use super::AssignError;
use crate::config::print::quoted;
use crate::text::nearest;

/// Sets a number of the label for whose name in the file `is_it` holds. A label without a table gets one under its display name.
pub fn set_in_label(
    text: &str,
    label: &str,
    is_it: impl Fn(&str) -> bool,
    key: &str,
    value: &str,
) -> Result<String, AssignError> {
    let document = parse(text)?;
    let edit = Edit { text };
    let (header, line) = (format!("[labels.{}]", quoted(label)), format!("{key} = {value}"));
    let Some(section) = edit.find(document.as_table(), "labels")? else { return Ok(edit.append(&header, &line)) };
    if let Some((name, _)) = section.table.iter().find(|(name, _)| is_it(name)) {
        return edit.set_in(&section, name, key, value);
    }
    Ok(match edit.last_header(&section) {
        // An inline table cannot be added to from outside.
        _ if section.is_inline() => edit.insert(&[&section], &quoted(label), &format!("{{ {line} }}")),
        Some(end) => edit.add_block(end, &header, &line),
        None => edit.append(&header, &line),
    })
}

/// Sets a number of a group that the file defines.
pub fn set_in_group(text: &str, group: &str, key: &str, value: &str) -> Result<String, AssignError> {
    let document = parse(text)?;
    let edit = Edit { text };
    let section = edit.find(document.as_table(), "groups")?;
    if let Some(section) = section.as_ref().filter(|section| section.table.contains_key(group)) {
        return edit.set_in(section, group, key, value);
    }
    let names = section.iter().flat_map(|section| section.table.iter().map(|(name, _)| name));
    Err(AssignError::UnknownGroup { name: group.to_owned(), suggestion: nearest(group, names).map(str::to_owned) })
}

/// Sets a key of a table at the root, which is added at the end where there is none.
pub fn set_in_table(text: &str, table: &str, key: &str, value: &str) -> Result<String, AssignError> {
    let document = parse(text)?;
    let edit = Edit { text };
    let Some(found) = edit.find(document.as_table(), table)? else {
        return Ok(edit.append(&format!("[{table}]"), &format!("{key} = {value}")));
    };
    let Some((old_key, old)) = found.table.get_key_value(key) else { return Ok(edit.insert(&[&found], key, value)) };
    match old.as_value().and_then(Value::span) {
        Some(span) => Ok(edit.replaced(span, value)),
        None => Err(edit.wrong_type(key, old_key, "a text")),
    }
}

/// Adds a label to a list of `[report]`, unless `is_it` holds for an entry of the list.
pub fn enlist(text: &str, list: &'static str, label: &str, is_it: impl Fn(&str) -> bool) -> Result<String, AssignError> {
    let document = parse(text)?;
    let edit = Edit { text };
    let only = format!("[{}]", quoted(label));
    let Some(report) = edit.find(document.as_table(), "report")? else {
        return Ok(edit.append("[report]", &format!("{list} = {only}")));
    };
    let Some((key, listed)) = report.table.get_key_value(list) else {
        return Ok(edit.insert(&[&report], list, &only));
    };
    let Some(listed) = listed.as_array() else { return Err(edit.no_list(list, key)) };
    if listed.iter().filter_map(Value::as_str).any(is_it) {
        return Ok(text.to_owned());
    }
    Ok(edit.push(listed, &quoted(label)))
}

/// Takes every entry for which `is_it` holds out of a list of `[report]`.
pub fn delist(text: &str, list: &'static str, is_it: impl Fn(&str) -> bool) -> Result<String, AssignError> {
    let document = parse(text)?;
    let edit = Edit { text };
    let Some(report) = edit.find(document.as_table(), "report")? else { return Ok(text.to_owned()) };
    let Some((key, listed)) = report.table.get_key_value(list) else { return Ok(text.to_owned()) };
    let Some(listed) = listed.as_array() else { return Err(edit.no_list(list, key)) };
    match listed.iter().position(|entry| entry.as_str().is_some_and(&is_it)) {
        // The next one is found in the text without this one.
        Some(at) => delist(&edit.pull(listed, at), list, is_it),
        None => Ok(text.to_owned()),
    }
}

fn parse(text: &str) -> Result<Document<&str>, AssignError> {
    Document::parse(text).map_err(|error| AssignError::NotToml {
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        what: error.message().replace('\n', " "),
    })
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A table of the text, with its key.
struct Found<'d> {
    key: &'d Key,
    item: &'d Item,
    table: &'d dyn TableLike,
}

impl Found<'_> {
    /// Whether the table is inline, that is in braces, or a dotted part of an inline table.
    fn is_inline(&self) -> bool {
        self.item.is_inline_table()
    }

    /// The end of the last value under the table's own header or in its own braces.
    fn last_value(&self) -> Option<usize> {
        self.table.get_values().iter().filter_map(|(_, value)| value.span()).map(|span| span.end).max()
    }
}

/// A text that is being edited.
struct Edit<'t> {
    text: &'t str,
}

impl Edit<'_> {
    /// The table `name` of `parent`, if it exists.
    fn find<'d>(&self, parent: &'d dyn TableLike, name: &str) -> Result<Option<Found<'d>>, AssignError> {
        let Some((key, item)) = parent.get_key_value(name) else { return Ok(None) };
        let table = item.as_table_like().ok_or_else(|| self.wrong_type(name, key, "a table"))?;
        Ok(Some(Found { key, item, table }))
    }

    fn wrong_type(&self, name: &str, key: &Key, expected: &'static str) -> AssignError {
        let line = key.span().map_or(1, |span| line_at(self.text, span.start));
        AssignError::WrongType { line, key: name.to_owned(), expected }
    }

    /// Sets `key` in the table `name` of a section, which exists.
    fn set_in(&self, section: &Found, name: &str, key: &str, value: &str) -> Result<String, AssignError> {
        let wrong_type = || self.wrong_type(name, section.key, "a table");
        let own = self.find(section.table, name)?.ok_or_else(wrong_type)?;
        let Some((old_key, old)) = own.table.get_key_value(key) else { return Ok(self.insert(&[section, &own], key, value)) };
        match old.as_value().and_then(Value::span) {
            Some(span) => Ok(self.replaced(span, value)),
            None => Err(self.wrong_type(key, old_key, "a number")),
        }
    }

    /// Inserts a key at the end of the last table of a path from the root.
    fn insert(&self, path: &[&Found], key: &str, value: &str) -> String {
        let Some(table) = path.last() else { return self.text.to_owned() };
        // Each dotted key repeats the path to its table.
        let dotted = path.iter().rev().take_while(|found| found.table.is_dotted()).count();
        let spelt = |key: &Key| key.span().map_or_else(|| quoted(key.get()), |span| self.text[span].to_owned());
        let prefix: String = path[path.len() - dotted..].iter().map(|found| spelt(found.key) + ".").collect();
        let assignment = format!("{prefix}{key} = {value}");
        let span = table.item.span();
        match (table.last_value(), table.is_inline()) {
            (Some(end), true) => self.replaced(end..end, &format!(", {assignment}")),
            (None, true) => self.replaced(span.unwrap_or_default(), &format!("{{ {assignment} }}")),
            (last, false) => {
                let end = last.or(span.map(|header| header.end)).unwrap_or(0);
                let start = self.text[..end].rfind('\n').map_or(0, |at| at + 1);
                let indent: String = self.text[start..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
                self.add(self.next_line(end), &format!("{indent}{assignment}"))
            }
        }
    }

    /// Inserts an element at the end of a list, on a line of its own if the last element has one.
    fn push(&self, list: &Array, element: &str) -> String {
        let span = list.span().unwrap_or_default();
        let Some(last) = list.iter().filter_map(Value::span).last() else {
            return self.replaced(span, &format!("[{element}]"));
        };
        let start = self.text[..last.start].rfind('\n').map_or(0, |at| at + 1);
        let indent = &self.text[start..last.start];
        let next = self.next_line(last.end);
        let comma = self.text[last.end..next].trim_start().starts_with(',');
        // A comma at the beginning of a later line stays where it is.
        let later = next < span.end && self.text[next..span.end].trim_start().starts_with(',');
        if !indent.trim().is_empty() || next > span.end || later {
            return self.replaced(last.end..last.end, &format!(", {element}"));
        }
        let (before, after) = if comma { ("", ",") } else { (",", "") };
        let (line, newline) = (&self.text[last.end..next], self.newline());
        format!("{}{before}{line}{indent}{element}{after}{newline}{}", &self.text[..last.end], &self.text[next..])
    }

    /// Takes an element out of a list, with its comma, and with its line where it has one of its own.
    fn pull(&self, list: &Array, at: usize) -> String {
        let spans: Vec<Range<usize>> = list.iter().filter_map(Value::span).collect();
        let (own, before) = (spans[at].clone(), at.checked_sub(1).map(|before| spans[before].end));
        let (start, next) = (self.text[..own.start].rfind('\n').map_or(0, |end| end + 1), self.next_line(own.end));
        let end = list.span().unwrap_or_default().end;
        // A comma at the beginning of a later line would be one too many.
        let is_within = |next: usize| next < end && !self.text[next..end].trim_start().starts_with(',');
        match (before, spans.get(at + 1)) {
            (_, Some(after)) => self.replaced(own.start..after.start, ""),
            (None, None) => self.replaced(list.span().unwrap_or_default(), "[]"),
            // A comma after the one before may stay, and so may the comments behind it.
            (Some(before), None) if start > before && self.text[start..own.start].trim().is_empty() && is_within(next) => {
                self.replaced(start..next, "")
            }
            (Some(before), None) => self.replaced(before..own.end, ""),
        }
    }

    fn no_list(&self, list: &'static str, key: &Key) -> AssignError {
        self.wrong_type(&format!("report.{list}"), key, "a list of labels")
    }

    /// The end of the text under the last header of a section: the header of the section or of one of its tables.
    fn last_header(&self, section: &Found) -> Option<usize> {
        let inside = section.table.iter().filter_map(|(name, _)| self.find(section.table, name).ok().flatten());
        let end = |found: &Found| {
            let header = found.item.span().filter(|_| !found.table.is_dotted() && !found.is_inline())?;
            Some(found.last_value().unwrap_or(0).max(header.end))
        };
        inside.filter_map(|found| end(&found)).chain(end(section)).max()
    }

    /// Inserts a table with a header after the line that holds `offset`, and after the comments that belong to that line.
    fn add_block(&self, offset: usize, header: &str, line: &str) -> String {
        let next = self.next_line(offset);
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        let comments: usize = self.text[next..].split_inclusive('\n').take_while(is_comment).map(str::len).sum();
        // Comments right above another header belong to that header.
        let at = if starts_empty(&self.text[next + comments..]) { next + comments } else { next };
        let (before, after) = self.text.split_at(at);
        let gap = if starts_empty(after) { "" } else { self.newline() };
        Edit { text: before }.append(header, line) + gap + after
    }

    /// Appends a table with a header after an empty line.
    fn append(&self, header: &str, line: &str) -> String {
        let gap = self.text.lines().next_back().is_some_and(|line| !line.trim().is_empty());
        let header = if gap { format!("{}{header}", self.newline()) } else { header.to_owned() };
        self.add(self.text.len(), &format!("{header}{}{line}", self.newline()))
    }

    /// Inserts lines at the beginning of a line, or at the end.
    fn add(&self, at: usize, lines: &str) -> String {
        let (before, after) = self.text.split_at(at);
        let gap = if before.is_empty() || before.ends_with('\n') { "" } else { self.newline() };
        format!("{before}{gap}{lines}{}{after}", self.newline())
    }

    fn replaced(&self, span: Range<usize>, new: &str) -> String {
        format!("{}{new}{}", &self.text[..span.start], &self.text[span.end..])
    }

    /// The beginning of the line after the one that holds `offset`.
    fn next_line(&self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at + 1)
    }

    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }
}

/// Whether the text is empty or begins with an empty line.
fn starts_empty(text: &str) -> bool {
    text.lines().next().is_none_or(|line| line.trim().is_empty())
}
