//! The embeddings of events that are kept: read by the commands that learn from them. Writing and clearing are `keep`'s and `clear`'s.

use uuid::Uuid;

use super::db::{Cell, Database, DbError};

/// The embedding of an event on which somebody has put a mark, with the names of its label and of the mark.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkedEmbedding {
    /// The event.
    pub id: Uuid,
    /// The display name of its label.
    pub label: String,
    /// What it was.
    pub was: Was,
    /// The embedding, floats of 16 bits with the lowest byte first.
    pub embedding: Vec<u8>,
}

/// What an event was, as its mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Was {
    /// Its label's sound.
    Right,
    /// None of it.
    Wrong,
    /// The sound of the label with this display name.
    Other(String),
}

/// The embedding of the event of this id, by the model with this SHA-256; `None` where none is kept.
pub(super) fn of_event(db: &Database, id: Uuid, model_sha256: &str) -> Result<Option<Vec<u8>>, DbError> {
    let sql = "SELECT embedding FROM embeddings JOIN events ON key=event JOIN sessions ON sessions.id=events.session \
               WHERE events.id=? AND sha256=?";
    Ok(db.rows(sql, &[Cell::Blob(id.as_bytes().to_vec()), model_sha256.into()], |row| row.bytes(0))?.into_iter().next())
}

/// The embeddings of all events with a mark, by the model with this SHA-256, the oldest first.
pub(super) fn marked(db: &Database, model_sha256: &str) -> Result<Vec<MarkedEmbedding>, DbError> {
    let sql = "SELECT events.id, own.name, mark, other.name, embedding FROM embeddings JOIN events ON key=embeddings.event \
               JOIN marks ON marks.event=key JOIN sessions ON sessions.id=events.session JOIN subjects own ON own.id=events.subject \
               LEFT JOIN subjects other ON other.id=marks.other WHERE sha256=? ORDER BY events.onset, key";
    let marked = db.rows(sql, &[model_sha256.into()], |row| {
        let was = match row.int(2) {
            super::marks::RIGHT => Was::Right,
            super::marks::OTHER => Was::Other(row.text(3)),
            _ => Was::Wrong,
        };
        let id = Uuid::from_slice(&row.bytes(0)).unwrap_or_default();
        MarkedEmbedding { id, label: row.text(1), was, embedding: row.bytes(4) }
    })?;
    Ok(marked)
}
