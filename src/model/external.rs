//! The files beside a graph that hold its weights: found in the bytes of the graph, which may be any.
//!
//! A graph is a message in Protocol Buffers' wire format (`onnx.proto3`). Only the fields that lead to a tensor are followed; a
//! tensor names its file in a pair of `location` and a path. ONNX Runtime opens these files by itself, so that their names must be
//! known before it sees the graph.

/// The deepest nesting of messages: that of graphs in the bodies of loops, which nobody nests further.
const DEEPEST: usize = 64;

/// A kind of message, as far as a tensor may be in it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Sparse,
    Tensor,
    Pair,
}

impl Kind {
    /// The kind of the message in a field.
    fn field(self, number: u64) -> Option<Kind> {
        Some(match (self, number) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Tensor, 13) => Kind::Pair,
            _ => return None,
        })
    }
}

/// The paths of the files that hold weights of a graph, as it names them, each once; `None` where the bytes are no whole message.
pub fn files(graph: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    follow(graph, Kind::Model, 0, &mut found)?;
    found.sort();
    found.dedup();
    Some(found)
}

fn follow(message: &[u8], kind: Kind, depth: usize, found: &mut Vec<String>) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let (mut rest, mut key, mut value) = (message, &[][..], &[][..]);
    while !rest.is_empty() {
        let (number, field) = next_field(&mut rest)?;
        let Some(field) = field else { continue };
        match (kind, number) {
            (Kind::Pair, 1) => key = field,
            (Kind::Pair, 2) => value = field,
            _ => {
                if let Some(kind) = kind.field(number) {
                    follow(field, kind, depth + 1, found)?;
                }
            }
        }
    }
    if matches!(kind, Kind::Pair) && key == b"location" {
        found.push(String::from_utf8_lossy(value).into_owned());
    }
    Some(())
}

/// Takes the next field off `rest`: its number, and its bytes where it holds a message, text or bytes.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let field = match tag & 7 {
        0 => {
            varint(rest)?;
            None
        }
        1 => rest.split_off(..8).map(|_| None)?,
        2 => {
            let size = usize::try_from(varint(rest)?).ok()?;
            Some(rest.split_off(..size)?)
        }
        5 => rest.split_off(..4).map(|_| None)?,
        _ => return None,
    };
    Some((tag >> 3, field))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
        let mut size = value.len();
        let mut out = vec![field << 3 | 2];
        while size >= 0x80 {
            out.push(size as u8 | 0x80);
            size >>= 7;
        }
        out.push(size as u8);
        out.extend(value);
        out
    }

    /// A tensor in another file.
    fn tensor(file: &str) -> Vec<u8> {
        let pair = |key: &str, value: &str| bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat());
        [pair("location", file), pair("offset", "4096")].concat()
    }

    #[test]
    fn files_are_found_in_initialisers_constants_bodies_and_sparse_tensors() {
        let constant = bytes(1, &bytes(5, &bytes(5, &tensor("constant"))));
        let body = bytes(1, &bytes(5, &bytes(6, &bytes(5, &tensor("body")))));
        let sparse = bytes(15, &bytes(1, &tensor("sparse")));
        let (whole, here) = (bytes(5, &tensor("weights")), bytes(5, &bytes(9, &[13; 300])));
        let graph = [constant, body, sparse, whole.clone(), here, whole].concat();
        let model = [vec![8, 8], bytes(7, &graph), bytes(8, &[16, 17])].concat();
        assert_eq!(files(&model).unwrap(), ["body", "constant", "sparse", "weights"]);
        assert_eq!(files(&model[..model.len() - 1]), None);
        assert_eq!(files(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_nesting_without_end_is_no_graph() {
        let nested = (0..200).fold(Vec::new(), |inner, _| bytes(1, &bytes(5, &bytes(6, &inner))));
        assert_eq!(files(&bytes(7, &nested)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = files(&message);
            let _ = files(&bytes(7, &bytes(5, &message)));
        }
    }
}
