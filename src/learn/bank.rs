//! The bank: embeddings of many kinds of sound that a model brings along, from which a learnt sound is told.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The embeddings of a recording of the bank.
#[derive(Debug, Clone, PartialEq)]
pub struct BankRecording {
    /// The recording's name.
    pub name: String,
    /// Its embeddings, one after the other.
    pub embeddings: Vec<f32>,
}

/// The parts of one that a byte of the table counts.
const STEPS: f32 = 24.0;

/// Reads the table of a bank, of embeddings of `size` numbers: tab-separated with one header line, the columns `recording` and
/// `embeddings`, and any between them. The last one holds Base64 of signed bytes, each the number times 24.
///
/// # Errors
/// The first fault, with its line.
pub fn read(text: &str, size: usize) -> Result<Vec<BankRecording>, String> {
    let mut recordings = Vec::new();
    for (line, text) in (1..).zip(text.lines()).skip(1).filter(|(_, text)| !text.is_empty()) {
        let mut cells = text.split('\t');
        let (name, last) = (cells.next().unwrap_or_default(), cells.next_back().unwrap_or_default());
        let bytes = BASE64_STANDARD.decode(last.trim()).unwrap_or_default();
        if bytes.is_empty() || bytes.len() % size.max(1) != 0 {
            return Err(format!("line {line}: the last column is no embeddings of {size} numbers"));
        }
        let embeddings = bytes.iter().map(|byte| f32::from(byte.cast_signed()) / STEPS).collect();
        recordings.push(BankRecording { name: name.to_owned(), embeddings });
    }
    Ok(recordings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_gives_the_embeddings_and_a_fault_its_line() {
        let text = "recording\tpackage\tembeddings\nbark.wav\tgame\tGOj0AA==\n";
        let read_bank = read(text, 2).unwrap();
        assert_eq!(read_bank, [BankRecording { name: "bark.wav".to_owned(), embeddings: vec![1.0, -1.0, -0.5, 0.0] }]);
        for (wrong, line) in [("recording\tembeddings\na\tGOj0\n", 2), ("x\n\na\tAAA=\nb\t?\n", 4), ("x\na\n", 2)] {
            assert!(read(wrong, 2).unwrap_err().starts_with(&format!("line {line}: ")), "{wrong}");
        }
    }
}
