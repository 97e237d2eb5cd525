//! Answers that were tampered with: what has to make a comparison fail.

use clap::ValueEnum;

use crate::tree::Node;

/// What is changed in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Doctoring {
    /// The first error code
    ErrorCode,
    /// The first number that is no error code
    Number,
    /// The first list loses its last element
    Element,
}

impl Doctoring {
    /// Changes an answer, if it has what is to be changed.
    pub(crate) fn apply(self, node: &mut Node) -> bool {
        self.change("", node)
    }

    fn change(self, field: &str, node: &mut Node) -> bool {
        match node {
            Node::Structure(fields) => {
                fields.iter_mut().any(|(name, value)| self.change(name, value))
            }
            Node::List(elements) if self == Self::Element => elements.pop().is_some(),
            Node::List(elements) => elements.iter_mut().any(|element| self.change(field, element)),
            Node::Atom(text) => {
                let wanted = match self {
                    Self::ErrorCode => field == "error_code",
                    Self::Number => field != "error_code",
                    Self::Element => false,
                };
                let number = text.parse::<i64>().ok().filter(|_| wanted);
                if let Some(number) = number {
                    *text = (number + 1).to_string();
                }
                number.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla::wire::messages::metadata::{
        MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::*;
    use crate::compare::compare;
    use crate::normal::{Names, now_ms};

    fn answer() -> Node {
        let partitions = vec![MetadataResponsePartition::default()];
        let topic = MetadataResponseTopic { partitions, ..Default::default() };
        Node::of(&MetadataResponse { topics: vec![topic], ..Default::default() })
    }

    #[test]
    fn each_kind_is_caught() {
        let caught = |kind: Doctoring| {
            let [mut ours, mut theirs] = [answer(), answer()];
            assert!(kind.apply(&mut ours), "{kind:?}");
            for node in [&mut ours, &mut theirs] {
                Names::new(9092, now_ms()).normalise("Metadata", node);
            }
            let [difference] = &compare(&ours, &theirs)[..] else { panic!("{kind:?}") };
            difference.path.clone()
        };
        assert_eq!(caught(Doctoring::ErrorCode), "topics[\"\"].error_code");
        assert_eq!(caught(Doctoring::Number), "throttle_time_ms");
        assert_eq!(caught(Doctoring::Element), "topics[\"\"]");
        assert_eq!(compare(&answer(), &answer()), []);
    }
}
