//! The project's pages in Markdown, parsed: code blocks, code within sentences, links, headings.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page and its parts, each kind in the order of the page.
#[derive(Debug, Default)]
pub struct Page {
    /// The path in the project's folder.
    pub path: PathBuf,
    pub text: String,
    pub blocks: Vec<Block>,
    /// Code within sentences and tables.
    pub code: Vec<String>,
    /// The targets of links and pictures.
    pub links: Vec<String>,
    /// Headings as links name them: in lower case, with hyphens.
    pub anchors: Vec<String>,
}

#[derive(Debug)]
pub struct Block {
    pub language: String,
    pub text: String,
}

/// All pages for people except the changelog.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "models/README.md", "fuzz/README.md"].map(PathBuf::from).into();
    for (folder, rest) in [("docs", None), ("benches", Some("README.md"))] {
        let entries = std::fs::read_dir(project().join(folder)).unwrap();
        let names = entries.map(|entry| PathBuf::from(folder).join(entry.unwrap().file_name()));
        paths.extend(names.map(|path| rest.map_or(path.clone(), |rest| path.join(rest))));
    }
    let pages: Vec<Page> = paths.into_iter().filter(|path| project().join(path).is_file()).map(Page::read).collect();
    assert!(pages.len() >= 14, "{:?}", pages.iter().map(|page| &page.path).collect::<Vec<_>>());
    pages
}

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of all blocks in this language.
pub fn lines<'p>(pages: &'p [Page], language: &str) -> Vec<&'p str> {
    let blocks = pages.iter().flat_map(|page| &page.blocks).filter(|block| block.language == language);
    blocks.flat_map(|block| block.text.lines()).collect()
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(project().join(&path)).unwrap();
        let mut page = Self { path, ..Self::default() };
        let (mut block, mut heading) = (None, None);
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    let language = language.split(',').next().unwrap_or_default().to_owned();
                    block = Some(Block { language, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|heading: String| anchor(&heading))),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => page.links.push(dest_url.to_string()),
                Event::Text(words) => match (&mut block, &mut heading) {
                    (Some(block), _) => block.text.push_str(&words),
                    (None, Some(heading)) => heading.push_str(&words),
                    (None, None) => {}
                },
                Event::Code(code) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&code));
                    page.code.push(code.to_string());
                }
                _ => {}
            }
        }
        page.text = text;
        page
    }
}

fn anchor(heading: &str) -> String {
    let letters = heading.to_lowercase().replace(' ', "-");
    letters.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}
