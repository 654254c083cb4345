//! What the parser of YAML complains about, in words of our own.
//!
//! The crate's sentences are for those who program with it: they name its options and functions. So each
//! kind of error has a sentence here, and what has none gets one that is always true. Nothing of the
//! crate's own text is shown.

use serde_saphyr::{
    Error, budget::BudgetBreach, granit_parser::ErrorKind, localizer::ExternalMessageSource,
};

use crate::printable;

/// How deep lists and maps may stand in each other: faults of an experiment need six.
pub(super) const DEEPEST: usize = 32;

/// The most values, lists and maps of a file: a hundred pages of faults.
pub(super) const MOST_NODES: usize = 100_000;

/// What is wrong, and what to do.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => sentence(error),
        Error::DuplicateMappingKey { key, .. } => duplicate(key.as_deref()),
        Error::MultipleDocuments { .. } => SEVERAL.to_owned(),
        Error::Eof { .. } => UNFINISHED.to_owned(),
        Error::Budget { breach, .. } => budget(breach),
        Error::ExternalMessage { source, .. } => match source.as_ref() {
            ExternalMessageSource::Parser(error) => scan(error.kind()).to_owned(),
            // Of validators, which are not built in.
            _ => UNREADABLE.to_owned(),
        },
        Error::UnknownAnchor { .. } => UNKNOWN_ANCHOR.to_owned(),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "the aliases (`*name`) stand for too much; write the values out".to_owned()
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } | Error::MergeKeyNotAllowed { .. } => {
            "`<<` takes in a map, and there is none; write the fields out".to_owned()
        }
        Error::UnsupportedTag { tag, .. } => format!(
            "the tag `{}` means nothing here; leave it out",
            printable::line(tag)
        ),
        Error::NonFiniteFloat { value, .. } => format!(
            "`{}` is no finite number; write one, or put a text in quotes",
            printable::line(value)
        ),
        Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::BytesNotSupportedMissingBinaryTag { .. } => {
            "the value cannot be read as its tag says; write it as plain text without a tag"
                .to_owned()
        }
        Error::InvalidUtf8Input => "the file is not UTF-8; save it as UTF-8".to_owned(),
        // What is a key has to be a text; everything else is taken as it comes.
        Error::Unexpected { .. }
        | Error::SerdeInvalidType { .. }
        | Error::InvalidScalar { .. }
        | Error::NullIntoString { .. }
        | Error::UnexpectedContainerEndWhileReadingKeyNode { .. } => {
            "a key is one word in front of a colon; write it so".to_owned()
        }
        // The enum is open: what a later version adds.
        _ => UNREADABLE.to_owned(),
    }
}

const SEVERAL: &str = "a second document begins here (`---`), and a file is one experiment; give it a file \
                       of its own";
const UNFINISHED: &str = "the file ends before this is complete; close what is open (a bracket, a brace, a \
                          quotation mark)";
const UNREADABLE: &str = "this is no YAML that injector reads; look for a missing colon, quotation mark or \
                          bracket, and at the indentation";
const UNKNOWN_ANCHOR: &str = "the alias names an anchor (`&name`) that stands nowhere above; write the value, \
                              or put a text that begins with `*` in quotation marks";

fn duplicate(key: Option<&str>) -> String {
    match key {
        Some(key) => format!(
            "`{}` stands here for the second time in the same map; leave one of them",
            printable::line(key)
        ),
        None => "the same key stands here for the second time; leave one of them".to_owned(),
    }
}

fn budget(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!(
            "lists and maps stand in each other more than {DEEPEST} deep, and no experiment does; write it \
             flatter"
        ),
        BudgetBreach::Documents { .. } => SEVERAL.to_owned(),
        BudgetBreach::SequenceUnbalanced => UNFINISHED.to_owned(),
        // Each of them is a size.
        _ => format!(
            "the file is too large for one experiment: more than {MOST_NODES} values, or as much text or \
             aliases as no experiment needs; make several files of it"
        ),
    }
}

fn scan(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "a tab indents this line; indent with spaces",
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            "a quotation mark is opened and not closed; close it"
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => {
            "between double quotation marks a backslash begins an escape, and this one means nothing; use \
             single quotation marks, or write two backslashes"
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "something follows the closing quotation mark; put it inside, or on a line of its own"
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            "a bracket or brace is opened and not closed; close it"
        }
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            "this bracket or brace closes none that is open; correct the pair"
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            "a comma or the closing bracket is missing here; add it, or put a text that has braces, as `${name}`, in \
             quotation marks"
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            "the line fits neither the list or map above it nor the one around that; correct its \
             indentation"
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace
        | ErrorKind::FlowMappingValueAdjacentCollection => {
            "a colon is missing after the key, or one stands where there is none; write `key: value`, and put \
             a text with `: ` in it in quotation marks"
        }
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::ExpectedNodeContent
        | ErrorKind::UnexpectedEndOfPlainScalar
        | ErrorKind::PlainScalarStartsWithDashFlowIndicator => {
            "no value begins with this character; put the text in quotation marks"
        }
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName => UNKNOWN_ANCHOR,
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofBlockMapping => UNFINISHED,
        ErrorKind::MultipleDocumentsUnsupported => SEVERAL,
        ErrorKind::BomInsideDocument => {
            "a byte order mark stands in the middle of the file; remove it"
        }
        ErrorKind::RecursionLimitExceeded => {
            "lists and maps stand in each other too deep for an experiment; write it flatter"
        }
        // Directives, tags and what a later version adds.
        _ => UNREADABLE,
    }
}
