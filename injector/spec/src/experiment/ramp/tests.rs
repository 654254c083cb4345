use std::time::Duration;

use injector_common::threshold::Threshold;
use proptest::prelude::*;

use super::*;
use crate::{
    experiment::{Experiment, FaultKind, file},
    quantity::{Percent, Rate},
};

fn amounts() -> impl Strategy<Value = (Amount, Amount)> {
    let time = |ms| Amount::Time(Duration::from_millis(ms));
    let rate = |bits| Amount::Rate(Rate::new(bits).unwrap());
    prop_oneof![
        (1u64..600_000, 1u64..600_000).prop_map(move |(a, b)| (time(a), time(b))),
        (0u32..=10_000, 0u32..=10_000).prop_map(|(a, b)| {
            let share = |hundredths| {
                let text = format!("{}%", f64::from(hundredths) / 100.0);
                let Percent(share) = text.parse().unwrap();
                Amount::Share(share)
            };
            (share(a), share(b))
        }),
        (1u64..1_000_000_000_000, 1u64..1_000_000_000_000)
            .prop_map(move |(a, b)| (rate(a), rate(b))),
    ]
}

fn ramps() -> impl Strategy<Value = Ramp> {
    let shapes = prop::sample::select(vec![Shape::Linear, Shape::Exponential]);
    (amounts(), 1u64..86_400_000, shapes)
        .prop_filter(
            "no factor leads from or to zero",
            |((from, to), _, shape)| {
                from != to && (*shape == Shape::Linear || from.number() != 0 && to.number() != 0)
            },
        )
        .prop_map(|((from, to), over, shape)| Ramp {
            parameter: match from {
                Amount::Time(_) => Parameter::Latency,
                Amount::Share(_) => Parameter::Percent,
                Amount::Rate(_) => Parameter::Rate,
            },
            from,
            to,
            over: Duration::from_millis(over),
            shape,
        })
}

/// A file in which a fault has the ramp, in a step that is as long.
fn file_of(ramp: &Ramp) -> String {
    let fault = match ramp.parameter {
        Parameter::Latency => "net.delay",
        Parameter::Percent => "net.loss",
        _ => "net.bandwidth",
    };
    let (name, over) = (ramp.parameter, duration::format(ramp.over));
    let shape = match ramp.shape {
        Shape::Linear => "",
        Shape::Exponential => ", shape: exponential",
    };
    let (from, to) = (ramp.from, ramp.to);
    format!(
        "targets: {{ agent: {{ pid: 7 }} }}\nduration: {over}\nfaults:\n  - {fault}: {{ {name}: {{ from: {from}, \
         to: {to}, over: {over}{shape} }} }}\n"
    )
}

fn parse(text: &str) -> Experiment {
    file::parse(text, "ramp.yaml", None).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

proptest! {
    #[test]
    fn a_value_is_between_the_ends_and_never_turns_back(
        ramp in ramps(), mut times in prop::collection::vec(0.0f64..1.2, 2..20),
    ) {
        times.sort_by(f64::total_cmp);
        let (low, high) = (ramp.from.number().min(ramp.to.number()), ramp.from.number().max(ramp.to.number()));
        prop_assert_eq!(ramp.at(Duration::ZERO), ramp.from);
        let mut last = ramp.from.number();
        for time in times {
            let value = ramp.at(ramp.over.mul_f64(time));
            let number = value.number();
            prop_assert!(value.is_like(ramp.from) && (low..=high).contains(&number), "{:?}", value);
            let moves_on = if ramp.to.number() > ramp.from.number() { number >= last } else { number <= last };
            prop_assert!(moves_on, "{last} and then {number}");
            last = number;
        }
        for late in [ramp.over, ramp.over + Duration::from_nanos(1), ramp.over * 3] {
            prop_assert_eq!(ramp.at(late), ramp.to);
        }
    }

    /// A file, what is said of it, and JSON are the same ramp.
    #[test]
    fn what_is_said_is_the_ramp_that_was_asked_for(ramp in ramps()) {
        let experiment = parse(&file_of(&ramp));
        let fault = &experiment.steps[0].faults[0];
        prop_assert_eq!(&fault.ramps, &[ramp]);
        prop_assert_eq!(fault.amount(ramp.parameter), Ok(ramp.harshest()));
        prop_assert_eq!(experiment.check(), Ok(()));
        let json = serde_json::to_string(&experiment).unwrap();
        let again: Experiment = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&again, &experiment);
        let described = fault.describe();
        let set = if ramp.parameter == Parameter::Percent { &described.chance } else { &described.parameters };
        let exponentially = if ramp.shape == Shape::Exponential { " exponentially" } else { "" };
        let said = format!("{} -> {} over {}{exponentially}", ramp.from, ramp.to, duration::format(ramp.over));
        prop_assert_eq!(set.get(ramp.parameter.name()), Some(said));
        // As JSON it is what a file has.
        let json = serde_json::to_string(&serde_json::to_value(set).unwrap()[ramp.parameter.name()]).unwrap();
        let kind = fault.kind.name();
        let over = duration::format(ramp.over);
        let name = ramp.parameter;
        let file = format!(
            "targets: {{ agent: {{ pid: 7 }} }}\nduration: {over}\nfaults:\n  - {kind}: {{ {name}: {json} }}\n"
        );
        prop_assert_eq!(&parse(&file).steps[0].faults[0], fault);
    }
}

#[test]
fn a_ramp_moves_evenly_or_by_the_same_factor() {
    let mut ramp = Ramp {
        parameter: Parameter::Latency,
        from: Amount::Time(Duration::from_millis(10)),
        to: Amount::Time(Duration::from_secs(1)),
        over: Duration::from_secs(100),
        shape: Shape::Linear,
    };
    let at = |ramp: &Ramp, seconds| match ramp.at(Duration::from_secs(seconds)) {
        Amount::Time(time) => time,
        other => panic!("{other:?}"),
    };
    assert_eq!(at(&ramp, 50), Duration::from_millis(505));
    ramp.shape = Shape::Exponential;
    assert_eq!(at(&ramp, 50), Duration::from_millis(100));
    assert_eq!(ramp.pace(), Duration::from_millis(50));
}

#[test]
fn what_judges_a_fault_sees_the_harshest_value() {
    let text = "\
targets: { agent: { pid: 7 } }
duration: 10s
faults:
  - net.delay: { latency: { from: 2s, to: 10ms, over: 5s }, percent: { from: 1%, to: 40%, over: 9s } }
  - net.bandwidth: { rate: { from: 10mbit, to: 100kbit, over: 10s } }
";
    let experiment = parse(text);
    let [delay, bandwidth] = &experiment.steps[0].faults[..] else {
        panic!("two faults");
    };
    let FaultKind::Delay(held) = &delay.kind else {
        panic!("{delay:?}");
    };
    assert_eq!(held.latency, Duration::from_secs(2));
    assert_eq!(Percent(delay.chance.percent).to_string(), "40%");
    let FaultKind::Bandwidth(bandwidth) = &bandwidth.kind else {
        panic!("{bandwidth:?}");
    };
    assert_eq!(bandwidth.rate.to_string(), "100kbit");
    assert_eq!(
        delay.describe().to_string(),
        "latency 2s -> 10ms over 5s; exclude-port 22,53, direction egress; percent 1% -> 40% over 9s"
    );
    let late = delay.at(Duration::from_secs(7));
    let FaultKind::Delay(held) = &late.kind else {
        panic!("{late:?}");
    };
    assert_eq!(held.latency, Duration::from_millis(10));
    assert!(late.chance.percent > Threshold::NEVER && late.chance.percent < delay.chance.percent);
}

/// What no file can say, and JSON can.
#[test]
fn a_ramp_that_hides_its_harshest_value_is_refused() {
    let experiment = parse(
        "targets: { agent: { pid: 7 } }\nduration: 10s\nfaults:\n  - net.delay: { latency: { from: 1ms, to: 9s, over: 5s } }\n",
    );
    let refused = |change: &dyn Fn(&mut Fault)| {
        let mut experiment = experiment.clone();
        change(&mut experiment.steps[0].faults[0]);
        experiment.check().unwrap_err().to_string()
    };
    let hidden = refused(&|fault| {
        fault.put(Parameter::Latency, Amount::Time(Duration::from_millis(1)));
    });
    assert!(hidden.contains("harshest value is 9s"), "{hidden}");
    let twice = refused(&|fault| fault.ramps.push(fault.ramps[0]));
    assert!(twice.contains("ramps twice"), "{twice}");
    let unlike = refused(&|fault| fault.ramps[0].to = Amount::Share(Threshold::ALWAYS));
    assert!(unlike.contains("no quantity like 100%"), "{unlike}");
    let other = refused(&|fault| fault.ramps[0].parameter = Parameter::Rate);
    assert!(
        other.contains("`rate` of `net.delay` is no quantity"),
        "{other}"
    );
}
