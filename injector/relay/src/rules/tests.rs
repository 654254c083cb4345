use std::net::{IpAddr, Ipv4Addr};

use injector_common::{rule::When, threshold::Threshold};
use injector_spec::experiment::{
    Chance, Direction, Fault, FaultKind, Interface, Limit, ModelRequests, RateLimit, Slow,
    ToolCalls, ToolStale, Traffic,
};
use serde_json::json;

use super::*;
use crate::{asked::Call, repeat::Repeat, tools::call::tests::called};

const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
const FIRST: Origin = Origin {
    scope: 0,
    slots: u32::MAX,
    far: FAR,
};
const OTHER: Origin = Origin {
    scope: 1,
    slots: u32::MAX,
    far: FAR,
};

fn order(rule: usize, kind: impl Into<FaultKind>, max_hits: Option<u64>) -> RuleOrder {
    RuleOrder {
        rule,
        scope: 0,
        slot: u32::try_from(rule).unwrap(),
        fault: Fault {
            target: 0,
            kind: kind.into(),
            direction: Direction::Egress,
            traffic: Traffic::default(),
            chance: Chance {
                percent: Threshold::ALWAYS,
                when: When::ALWAYS,
                max_hits,
                seed: None,
            },
            ramps: Vec::new(),
            stays_on: 0,
        },
        seed: 1,
        state: RuleState::On,
    }
}

fn limited(requests: ModelRequests) -> RateLimit {
    RateLimit {
        requests,
        limit: Limit::Rate,
        retry_after: None,
    }
}

fn asked(model: &str) -> Asked {
    Asked {
        dialect: Provider::OpenAi,
        call: Call::Chat,
        path: "/v1/chat/completions".into(),
        model: Some(model.into()),
        streams: false,
        task: 0,
        repeat: Repeat::Anew,
    }
}

fn counted(rules: &mut Rules) -> Count {
    let news = rules.news();
    let mut counts = news.into_iter().filter_map(|said| match said {
        Said::Counted { counters, .. } => Some(counters),
        _ => None,
    });
    counts.next_back().unwrap()
}

#[test]
fn a_rule_takes_what_it_means_of_its_own_target() {
    let mut rules = Rules::default();
    rules.set(vec![order(
        3,
        limited(ModelRequests {
            by: None,
            provider: Some(Provider::Vllm),
            models: vec!["gpt-*".into()],
            paths: vec!["*/chat/*".into()],
        }),
        None,
    )]);
    assert!(rules.concern(FIRST) && !rules.concern(OTHER));
    assert_eq!(rules.ask(OTHER, Met::Model(&asked("gpt-5"))), []);
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("gpt-5"))).len(), 1);
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("claude"))), []);
    let mut other = asked("gpt-5");
    other.dialect = Provider::Anthropic;
    assert_eq!(rules.ask(FIRST, Met::Model(&other)), []);
    rules.pass(FIRST);
    let count = counted(&mut rules);
    assert_eq!((count.seen, count.matched, count.hit), (4, 1, 0));
}

#[test]
fn the_budget_holds_and_what_came_to_nothing_gives_back() {
    let mut rules = Rules::default();
    let limit = limited(ModelRequests::default());
    rules.set(vec![order(0, limit.clone(), Some(1))]);
    let taken = rules.ask(FIRST, Met::Model(&asked("m")));
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("m"))), []);
    rules.settle(&taken[0].1, Outcome::Missed);
    let taken = rules.ask(FIRST, Met::Model(&asked("m")));
    rules.settle(&taken[0].1, Outcome::Hit);
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("m"))), []);
    // A ramp says the rules anew: what they remember stays.
    rules.set(vec![order(0, limit, Some(1))]);
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("m"))), []);
    let count = counted(&mut rules);
    assert_eq!((count.matched, count.hit, count.missed), (5, 1, 1));
}

#[test]
fn what_slows_goes_with_what_is_behind_it_and_off_is_off() {
    let mut rules = Rules::default();
    let slow = Slow {
        requests: ModelRequests::default(),
        latency: std::time::Duration::from_secs(1),
        token_gap: std::time::Duration::ZERO,
    };
    let limit = limited(ModelRequests::default());
    let mut orders = vec![
        order(0, slow, None),
        order(1, limit.clone(), None),
        order(2, limit, None),
    ];
    rules.set(orders.clone());
    let taken: Vec<usize> = rules
        .ask(FIRST, Met::Model(&asked("m")))
        .iter()
        .map(|(_, one)| one.rule)
        .collect();
    assert_eq!(taken, [0, 1]);
    for order in &mut orders {
        order.state = RuleState::Off;
    }
    rules.set(orders);
    assert!(!rules.concern(FIRST) && !rules.is_on(0));
    assert_eq!(rules.ask(FIRST, Met::Model(&asked("m"))), []);
}

#[test]
fn a_rule_meets_connections_that_its_filters_mean() {
    let mut rules = Rules::default();
    let limit = limited(ModelRequests::default());
    rules.set(vec![order(0, limit.clone(), None), order(1, limit, None)]);
    let second = Origin {
        scope: 0,
        slots: 0b10,
        far: FAR,
    };
    let taken: Vec<usize> = rules
        .ask(second, Met::Model(&asked("m")))
        .iter()
        .map(|(_, one)| one.rule)
        .collect();
    assert_eq!(taken, [1]);
}

#[test]
fn a_rule_about_tools_takes_calls_and_nothing_else() {
    let tool = |interface, tools: &[&str], methods: &[&str], paths: &[&str]| {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        ToolStale {
            calls: ToolCalls {
                interface,
                tools: owned(tools),
                methods: owned(methods),
                paths: owned(paths),
            },
        }
    };
    let call = |path: &str, method: &str, name: &str| {
        let params = json!({"name": name});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        called(path, &[], &body)
    };
    let takes = |fault: ToolStale, call: &Called| {
        let mut rules = Rules::default();
        rules.set(vec![order(0, fault, None)]);
        assert_eq!(rules.ask(FIRST, Met::Model(&asked("m"))), []);
        let is_kept = rules.remembers(FIRST, call);
        let is_taken = !rules.ask(FIRST, Met::Tool(call)).is_empty();
        assert_eq!(is_kept, is_taken);
        is_taken
    };
    let (mcp, json) = (Interface::Mcp, Interface::Json);
    let add = call("/mcp", "tools/call", "add");
    let listed = call("/mcp", "tools/list", "");
    let plain = called("/tools/add", &[], &json!({"a": 1}));
    assert!(takes(tool(mcp, &[], &[], &[]), &add));
    assert!(takes(tool(mcp, &["a*"], &[], &["/mcp"]), &add));
    assert!(!takes(tool(mcp, &["b*"], &[], &[]), &add));
    assert!(!takes(tool(mcp, &[], &[], &["/other"]), &add));
    assert!(!takes(tool(mcp, &[], &[], &[]), &listed));
    assert!(takes(tool(mcp, &[], &["tools/list"], &[]), &listed));
    assert!(!takes(tool(mcp, &[], &["tools/list"], &[]), &add));
    assert!(!takes(tool(mcp, &[], &[], &[]), &plain));
    assert!(takes(tool(json, &["add"], &[], &["/tools/*"]), &plain));
    assert!(!takes(tool(json, &["sub"], &[], &["/tools/*"]), &plain));
}

#[test]
fn no_session_is_begun_with_an_old_answer_and_no_head_is_a_call() {
    let stale = |interface, methods: &[&str]| ToolStale {
        calls: ToolCalls {
            interface,
            tools: Vec::new(),
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            paths: Vec::new(),
        },
    };
    let mut rules = Rules::default();
    rules.set(vec![order(0, stale(Interface::Mcp, &["*"]), None)]);
    let begin = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert!(!rules.remembers(FIRST, &called("/mcp", &[], &begin)));
    assert!(rules.remembers(FIRST, &called("/mcp", &[], &list)));
    let mut rules = Rules::default();
    rules.set(vec![order(0, stale(Interface::Json, &[]), None)]);
    for (method, is_call) in [
        ("GET", true),
        ("POST", true),
        ("HEAD", false),
        ("OPTIONS", false),
    ] {
        let request = http::Request::builder().method(method).uri("/tools/add");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(rules.reads(FIRST, &head), is_call, "{method}");
    }
}
