//! The folds or parts of a data set that are asked for, such as `5`, `1-4` or `validation`.

use std::str::FromStr;

/// The folds that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds(Vec<Fold>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fold {
    Numbers(u32, u32),
    Name(String),
}

impl Folds {
    /// Whether recordings of this fold are asked for.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|fold| fold.has(name))
    }

    /// The first fold asked for to which none of these names belongs.
    pub(super) fn unknown(&self, names: &[String]) -> Option<String> {
        let is_unknown = |fold: &&Fold| !names.iter().any(|name| fold.has(name));
        self.0.iter().find(is_unknown).map(|fold| match fold {
            Fold::Numbers(first, last) if first == last => first.to_string(),
            Fold::Numbers(first, last) => format!("{first}-{last}"),
            Fold::Name(name) => name.clone(),
        })
    }
}

impl Fold {
    fn has(&self, name: &str) -> bool {
        match self {
            Fold::Numbers(first, last) => name.parse().is_ok_and(|number: u32| (*first..=*last).contains(&number)),
            Fold::Name(own) => own.eq_ignore_ascii_case(name),
        }
    }
}

impl FromStr for Folds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fold = |part: &str| {
            let part = part.trim();
            let number = |text: &str| text.trim().parse::<u32>().ok();
            match (number(part), part.split_once('-').map(|(first, last)| (number(first), number(last)))) {
                (Some(number), _) => Ok(Fold::Numbers(number, number)),
                (None, Some((Some(first), Some(last)))) if first <= last => Ok(Fold::Numbers(first, last)),
                (None, Some((Some(first), Some(last)))) => Err(format!("the range {first}-{last} ends before it begins")),
                _ if part.is_empty() => {
                    Err("a fold has no name; write them as 5, 1-4 or validation, with commas between".to_owned())
                }
                _ => Ok(Fold::Name(part.to_owned())),
            }
        };
        text.split(',').map(fold).collect::<Result<_, _>>().map(Self)
    }
}
