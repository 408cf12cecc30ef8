//! Markdown as roff: the part of Markdown that the project's pages are written in.
//!
//! Code is bold. A row of a table is a paragraph with its first cell as the term. A link keeps its text, and a picture is left
//! out.

use clap_mangen::roff::{Inline, Roff, bold, italic, line_break, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Appends a Markdown text to a manual page. A heading of level 2 becomes a section; the title is left out, because a page has
/// its own.
pub(super) fn append(roff: &mut Roff, markdown: &str) {
    let mut writer = Writer { roff, line: Vec::new(), strength: 0, lists: Vec::new(), table: Table::default(), is_code: false };
    let mut is_picture = false;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Image { .. }) => is_picture = true,
            Event::End(TagEnd::Image) => is_picture = false,
            _ if is_picture => {}
            Event::Start(tag) => writer.begin(&tag),
            Event::End(tag) => writer.end(tag),
            Event::Text(text) if writer.is_code => writer.line.push(roman(text.trim_end_matches('\n'))),
            Event::Text(text) if writer.strength > 0 => writer.line.push(bold(text.as_ref())),
            event => writer.line.extend(word(&event)),
        }
    }
    writer.flush();
}

/// The words of a Markdown paragraph.
pub(super) fn words(markdown: &str) -> Vec<Inline> {
    Parser::new(markdown).filter_map(|event| word(&event)).collect()
}

fn word(event: &Event) -> Option<Inline> {
    match event {
        Event::Text(text) => Some(roman(text.as_ref())),
        Event::Code(code) => Some(bold(code.as_ref())),
        Event::SoftBreak => Some(roman(" ")),
        Event::HardBreak => Some(line_break()),
        _ => None,
    }
}

/// Writes the events of a parser as they come.
struct Writer<'r> {
    roff: &'r mut Roff,
    /// The paragraph, item or cell so far.
    line: Vec<Inline>,
    /// How many strong texts enclose the next one.
    strength: usize,
    /// The open lists, with the number of the next item where they count.
    lists: Vec<Option<u64>>,
    table: Table,
    is_code: bool,
}

#[derive(Default)]
struct Table {
    head: Vec<Vec<Inline>>,
    row: Vec<Vec<Inline>>,
}

impl Writer<'_> {
    fn begin(&mut self, tag: &Tag) {
        match tag {
            Tag::Paragraph if self.lists.is_empty() => drop(self.roff.control("PP", [])),
            Tag::Strong => self.strength += 1,
            Tag::List(first) => {
                self.flush();
                self.lists.push(*first);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    _ => r"\(bu".to_owned(),
                };
                self.roff.control("IP", [mark.as_str(), "3"]);
            }
            Tag::CodeBlock(_) => {
                self.is_code = true;
                self.roff.control("PP", []).control("RS", ["4"]).control("EX", []);
            }
            Tag::Table(_) => self.table = Table::default(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::Strong => self.strength -= 1,
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::CodeBlock => {
                self.is_code = false;
                self.flush();
                self.roff.control("EE", []).control("RE", []);
            }
            TagEnd::TableCell => self.table.row.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => self.table.head = std::mem::take(&mut self.table.row),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let title = std::mem::take(&mut self.line);
        match level {
            HeadingLevel::H1 => {}
            HeadingLevel::H2 => drop(self.roff.control("SH", [plain(&title).to_uppercase().as_str()])),
            _ => drop(self.roff.control("SS", [plain(&title).as_str()])),
        }
    }

    /// A row of a table: its first cell is the term, each further one a line, with the column's name where there are several.
    fn row(&mut self) {
        let mut cells = std::mem::take(&mut self.table.row).into_iter();
        let Some(term) = cells.next() else { return };
        let mut text = Vec::new();
        let is_wide = cells.len() > 1;
        for (head, cell) in self.table.head[1..].iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            if !text.is_empty() {
                text.push(line_break());
            }
            if is_wide && !head.is_empty() {
                text.extend([italic(plain(head)), roman(": ")]);
            }
            text.extend(cell);
        }
        self.roff.control("TP", []).text(term).text(text);
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.roff.text(std::mem::take(&mut self.line));
        }
    }
}

/// The text alone.
fn plain(line: &[Inline]) -> String {
    line.iter()
        .map(|word| match word {
            Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text.as_str(),
            Inline::LineBreak => " ",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roff(markdown: &str) -> String {
        let mut roff = Roff::new();
        append(&mut roff, markdown);
        roff.to_roff()
    }

    #[test]
    fn a_page_has_sections_paragraphs_lists_and_code() {
        let page = roff(
            "# Title\n\nOne `word` and **two\nmore**.\n\n## A part\n\n- [first](a.md)\n- second,\n  longer\n\n1. one\n2. two\n\n\
             ```sh\nls -l\n.hidden\n```\n\n![a picture](a.png)\n",
        );
        let expected = ".PP\nOne \\fBword\\fR and \\fBtwo\\fR \\fBmore\\fR.\n.SH \"A PART\"\n.IP \\(bu 3\nfirst\n.IP \\(bu 3\n\
                        second, longer\n.IP 1. 3\none\n.IP 2. 3\ntwo\n.PP\n.RS 4\n.EX\nls \\-l\n\\&.hidden\n.EE\n.RE\n.PP\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn a_row_of_a_table_is_a_term_with_its_meaning() {
        let two = roff("| name | meaning |\n| --- | --- |\n| `a` | the *first* |\n| `b` | |\n");
        assert_eq!(two, ".TP\n\\fBa\\fR\nthe first\n.TP\n\\fBb\\fR\n\n");
        let three = roff("| | sent when | fields |\n| --- | --- | --- |\n| `a` | now | `x` |\n");
        assert_eq!(three, ".TP\n\\fBa\\fR\n\\fIsent when\\fR: now\n.br\n\\fIfields\\fR: \\fBx\\fR\n");
    }
}
