//! Whether a document has the form that servers of continuous integration read.
//!
//! The rules are those of Jenkins' schema (`junit-10.xsd` of its xunit plugin) for the elements that this program writes:
//! which there are, what stands in them, which attributes they need and may have. Beyond it, because readers of other
//! servers are stricter or add up by themselves: the order within a suite, and that each count is that of the elements.

use std::collections::BTreeMap;

/// An element with what stands in it.
#[derive(Debug)]
struct Element<'t> {
    name: &'t str,
    attributes: BTreeMap<&'t str, &'t str>,
    children: Vec<Element<'t>>,
    text: String,
}

/// What the schema says of an element.
struct Rule {
    name: &'static str,
    needs: &'static [&'static str],
    may_have: &'static [&'static str],
    children: &'static [&'static str],
    holds_text: Text,
}

#[derive(PartialEq)]
enum Text {
    No,
    Yes,
}

const RULES: [Rule; 8] = [
    Rule {
        name: "testsuites",
        needs: &[],
        may_have: &["name", "time", "tests", "failures", "errors"],
        children: &["testsuite"],
        holds_text: Text::No,
    },
    Rule {
        name: "testsuite",
        needs: &["name", "tests", "failures", "errors"],
        may_have: &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        children: &[
            "testsuite",
            "properties",
            "testcase",
            "system-out",
            "system-err",
        ],
        holds_text: Text::No,
    },
    Rule {
        name: "properties",
        needs: &[],
        may_have: &[],
        children: &["property"],
        holds_text: Text::No,
    },
    Rule {
        name: "property",
        needs: &["name", "value"],
        may_have: &[],
        children: &[],
        holds_text: Text::No,
    },
    Rule {
        name: "testcase",
        needs: &["name"],
        may_have: &["time", "classname", "group"],
        children: &["skipped", "error", "failure", "system-out", "system-err"],
        holds_text: Text::No,
    },
    outcome("failure"),
    outcome("error"),
    outcome("skipped"),
];

const fn outcome(name: &'static str) -> Rule {
    Rule {
        name,
        needs: &[],
        may_have: &["type", "message"],
        children: &[],
        holds_text: Text::Yes,
    }
}

const OUTPUT: Rule = Rule {
    name: "system-out",
    needs: &[],
    may_have: &[],
    children: &[],
    holds_text: Text::Yes,
};

/// What is wrong with a document, in half a sentence.
pub(crate) fn check(document: &str) -> Result<(), String> {
    let rest = document
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .ok_or("it does not begin as XML 1.0 in UTF-8")?;
    let (root, rest) = element(rest)?;
    if !rest.trim().is_empty() {
        return Err(format!("something stands behind the root: {rest}"));
    }
    if root.name != "testsuites" {
        return Err(format!("the root is `{}`", root.name));
    }
    known(&root)?;
    let [suite] = &root.children[..] else {
        return Err("there is not one suite".into());
    };
    ordered(suite)?;
    for counted in [&root, suite] {
        counts(counted, suite)?;
    }
    Ok(())
}

/// That an element and all in it are what the schema has.
fn known(element: &Element<'_>) -> Result<(), String> {
    let name = element.name;
    let mut rules = RULES.iter().chain([&OUTPUT]);
    let rule = rules
        .find(|rule| rule.name == name)
        .ok_or_else(|| format!("there is no element `{name}`"))?;
    for need in rule.needs {
        if !element.attributes.contains_key(need) {
            return Err(format!("`{name}` has no `{need}`"));
        }
    }
    for (attribute, value) in &element.attributes {
        if !rule.needs.contains(attribute) && !rule.may_have.contains(attribute) {
            return Err(format!("`{name}` has an attribute `{attribute}`"));
        }
        if *attribute == "time" && !is_time(value) {
            return Err(format!("`{value}` is no time"));
        }
    }
    if rule.holds_text == Text::No && !element.text.trim().is_empty() {
        return Err(format!("`{name}` has a text: {}", element.text));
    }
    for child in &element.children {
        if !rule.children.contains(&child.name) {
            return Err(format!("a `{}` stands in a `{name}`", child.name));
        }
        known(child)?;
    }
    Ok(())
}

/// Seconds and a part of one, as `SUREFIRE_TIME` takes them.
fn is_time(value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value
        .split_once('.')
        .is_some_and(|(seconds, part)| digits(seconds) && digits(part))
}

/// That the properties come first, then the cases, each with one outcome at most, then a text.
fn ordered(suite: &Element<'_>) -> Result<(), String> {
    let names: Vec<&str> = suite.children.iter().map(|child| child.name).collect();
    let (first, rest) = names.split_first().ok_or("the suite is empty")?;
    let (last, cases) = rest.split_last().ok_or("the suite has one element")?;
    if *first != "properties"
        || *last != "system-out"
        || cases.iter().any(|name| *name != "testcase")
    {
        return Err(format!("the suite has {names:?}"));
    }
    let twice = suite
        .children
        .iter()
        .find(|child| child.name == "testcase" && child.children.len() > 1);
    twice.map_or(Ok(()), |case| Err(format!("two outcomes: {case:?}")))
}

/// That what is counted is there so often.
fn counts(counted: &Element<'_>, suite: &Element<'_>) -> Result<(), String> {
    let cases = || {
        suite
            .children
            .iter()
            .filter(|child| child.name == "testcase")
    };
    for (attribute, element) in [
        ("tests", None),
        ("failures", Some("failure")),
        ("errors", Some("error")),
        ("skipped", Some("skipped")),
    ] {
        let there = match element {
            None => cases().count(),
            Some(name) => cases()
                .filter(|case| case.children.iter().any(|child| child.name == name))
                .count(),
        };
        if let Some(said) = counted.attributes.get(attribute)
            && *said != there.to_string()
        {
            let name = counted.name;
            return Err(format!(
                "`{name}` says {attribute} {said}, and there are {there}"
            ));
        }
    }
    Ok(())
}

/// An element at the beginning, and what stands behind it.
fn element(text: &str) -> Result<(Element<'_>, &str), String> {
    let opened = text
        .trim_start()
        .strip_prefix('<')
        .ok_or_else(|| format!("no element: {text}"))?;
    let end = opened.find('>').ok_or("a tag is not closed")?;
    let (tag, mut rest) = (&opened[..end], &opened[end + 1..]);
    let (tag, is_closed) = match tag.strip_suffix('/') {
        Some(tag) => (tag, true),
        None => (tag, false),
    };
    let name = tag.split(' ').next().unwrap_or_default();
    let mut element = Element {
        name,
        attributes: attributes(&tag[name.len()..])?,
        children: Vec::new(),
        text: String::new(),
    };
    if is_closed {
        return Ok((element, rest));
    }
    loop {
        let next = rest
            .find('<')
            .ok_or_else(|| format!("`{name}` is not closed"))?;
        without_loose_ends(&rest[..next])?;
        element.text += &rest[..next];
        rest = &rest[next..];
        if let Some(closing) = rest.strip_prefix("</") {
            let rest = closing
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('>'));
            return Ok((
                element,
                rest.ok_or_else(|| format!("`{name}` is closed by another"))?,
            ));
        }
        let (child, behind) = self::element(rest)?;
        element.children.push(child);
        rest = behind;
    }
}

fn attributes(mut text: &str) -> Result<BTreeMap<&str, &str>, String> {
    let mut attributes = BTreeMap::new();
    while let Some(next) = text.strip_prefix(' ') {
        let (name, rest) = next
            .split_once("=\"")
            .ok_or_else(|| format!("no attribute: {next}"))?;
        let (value, rest) = rest.split_once('"').ok_or("a value is not closed")?;
        without_loose_ends(value)?;
        if attributes.insert(name, value).is_some() {
            return Err(format!("`{name}` stands there twice"));
        }
        text = rest;
    }
    if text.is_empty() {
        Ok(attributes)
    } else {
        Err(format!("something stands in a tag: {text}"))
    }
}

/// That `&` begins one of the five names which XML has without a declaration.
fn without_loose_ends(text: &str) -> Result<(), String> {
    let mut ends = text.split('&').skip(1);
    let is_name = |rest: &str| {
        ["amp;", "lt;", "gt;", "quot;", "apos;"]
            .iter()
            .any(|name| rest.starts_with(name))
    };
    match ends.find(|rest| !is_name(rest)) {
        Some(rest) => Err(format!("`&{rest}` is no character")),
        None => Ok(()),
    }
}

/// A document in which one thing is changed, and what is said of it then.
#[test]
fn what_no_server_reads_is_told() {
    let right = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"a\" tests=\"2\" failures=\"1\" \
                 errors=\"0\" time=\"0.100\"><testsuite name=\"b\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" \
                 time=\"0.100\"><properties><property name=\"c\" value=\"d\"/></properties><testcase name=\"e\" \
                 classname=\"f\" time=\"0.050\"/><testcase name=\"g\"><failure message=\"h &amp; i\"/></testcase>\
                 <system-out>j</system-out></testsuite></testsuites>";
    check(right).unwrap();
    for (from, to, part) in [
        ("<?xml", "<xml", "does not begin"),
        (
            "property ",
            "propertie ",
            "a `propertie` stands in a `properties`",
        ),
        (
            "testcase name=\"e\"",
            "testcase",
            "`testcase` has no `name`",
        ),
        (" value=\"d\"", "", "`property` has no `value`"),
        ("classname", "class", "an attribute `class`"),
        ("0.050", "50 ms", "is no time"),
        (
            "tests=\"2\" failures=\"1\" errors=\"0\" skipped",
            "tests=\"3\" failures=\"1\" errors=\"0\" skipped",
            "says tests 3",
        ),
        ("<failure message=\"h &amp; i\"/>", "", "says failures 1"),
        ("<failure ", "<error ", "says failures 1"),
        (
            "<failure message=\"h &amp; i\"/>",
            "<failure/><skipped/>",
            "two outcomes",
        ),
        ("skipped=\"0\"", "skipped=\"1\"", "says skipped 1"),
        ("&amp;", "&", "is no character"),
        ("name=\"e\"", "name=\"e\" name=\"f\"", "twice"),
        ("<system-out>j</system-out>", "", "the suite has"),
        ("<properties>", "j<properties>", "has a text"),
        ("</properties>", "</property>", "closed by another"),
        (
            "<testcase name=\"g\">",
            "<testcase name=\"g\"><property name=\"a\" value=\"b\"/>",
            "stands in a `testcase`",
        ),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        let said = check(&wrong).unwrap_err();
        assert!(said.contains(part), "{from} as {to}: {said}");
    }
}
