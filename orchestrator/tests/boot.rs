//! Real kernels boot, the agent answers, and the disk can be used.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coldcut::device::Device;
use coldcut::kernel::Store;
use coldcut::machine::{Accel, BootImage, DiskSpec, Machine, MachineSpec, Qemu};
use coldcut_core::block::Zeros;
use coldcut_wire::Request;

#[tokio::test(flavor = "multi_thread")]
async fn boots() {
    let dir = tempfile::tempdir().unwrap();
    let qemu = Qemu::find().await.unwrap();
    let store = Store::open_default().unwrap();
    for name in ["5.10", "6.1", "6.12"] {
        let kernel = store.find(name).unwrap();
        let socket = dir.path().join(format!("{name}.sock"));
        let _device = Device::bind(&socket, Arc::new(Zeros { size: 64 << 20 })).unwrap();
        let modules = kernel.modules(&["base", "fs:ext4"]).unwrap();
        let initrd = dir.path().join(format!("{name}.initrd"));
        std::fs::write(
            &initrd,
            coldcut::initramfs::build(coldcut::agent_binary::AGENT, &modules, None).unwrap(),
        )
        .unwrap();
        let spec = MachineSpec {
            kernel: BootImage {
                path: kernel.boot_image(),
            },
            initrd,
            memory_mib: 256,
            cpus: 1,
            accel: Accel::Tcg,
            disk: Some(DiskSpec {
                socket,
                write_cache: true,
                physical_block_size: 4096,
            }),
            extra_cmdline: String::new(),
        };
        let console = Path::new("/tmp").join(format!("console-{name}.log"));
        match Machine::boot(&qemu, &spec, &console, Duration::from_secs(60)).await {
            Ok(machine) => {
                println!(
                    "{name}: {:?} {:?} modules {}",
                    machine.boot_time,
                    machine.guest.hello,
                    modules.len()
                );
                let t = Instant::now();
                println!(
                    "{:?} {:?}",
                    machine
                        .guest
                        .call("ping", Request::Ping, Duration::from_secs(5))
                        .await,
                    t.elapsed()
                );
                machine.kill().await;
            }
            Err(e) => println!("{name}: {e}"),
        }
    }
}
