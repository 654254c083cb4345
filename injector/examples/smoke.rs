//! smoke
use injector::kernel::{links::*, maps::Maps, object::Object};
fn main() -> anyhow::Result<()> {
    let mut o = Object::load()?;
    let (_m, _l, _e) = Maps::take(&mut o)?;
    let mut links = Links::default();
    let cg = std::fs::File::open("/sys/fs/cgroup/unified")?;
    for h in [DeviceHook::Egress, DeviceHook::Ingress, DeviceHook::Return] {
        println!(
            "{h:?} {:?}",
            links.device(&mut o, h, "lo").map_err(|e| e
                .to_string()
                .chars()
                .rev()
                .take(3000)
                .collect::<String>()
                .chars()
                .rev()
                .collect::<String>())
        );
    }
    for h in [
        CgroupHook::BornInCgroup,
        CgroupHook::BornOfProcess,
        CgroupHook::ClaimOut,
        CgroupHook::ClaimIn,
        CgroupHook::Deliver,
        CgroupHook::Connect4,
        CgroupHook::Connect6,
    ] {
        println!(
            "{h:?} {:?}",
            links.cgroup(&mut o, h, &cg).map_err(|e| e
                .to_string()
                .chars()
                .rev()
                .take(3000)
                .collect::<String>()
                .chars()
                .rev()
                .collect::<String>())
        );
    }
    for h in [ProcessHook::Fork, ProcessHook::Exit] {
        println!(
            "{h:?} {:?}",
            links.process(&mut o, h).map_err(|e| e
                .to_string()
                .chars()
                .rev()
                .take(3000)
                .collect::<String>()
                .chars()
                .rev()
                .collect::<String>())
        );
    }
    Ok(())
}
