use std::process::{Command, Stdio};

use super::*;

fn cache(dir: &Path) -> Cache {
    Cache::open(dir.join("cache")).unwrap()
}

fn make(cache: &Cache, name: &str, bytes: usize) -> bool {
    let staged = cache.stage().unwrap();
    fs::write(staged.path().join("data"), vec![1; bytes]).unwrap();
    cache.commit(staged, name).unwrap()
}

fn names(cache: &Cache) -> Vec<String> {
    let entries = fs::read_dir(cache.root()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_entry_is_there_when_it_is_whole_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    assert!(cache.hold("a").unwrap().is_none());
    let staged = cache.stage().unwrap();
    fs::write(staged.path().join("data"), "half").unwrap();
    assert!(cache.hold("a").unwrap().is_none());
    drop(staged);
    assert!(names(&cache).is_empty(), "what is given up goes");
    assert!(make(&cache, "a", 1));
    assert!(!make(&cache, "a", 2), "another one was faster");
    assert_eq!(fs::metadata(cache.entry("a").join("data")).unwrap().len(), 1);
    assert_eq!(names(&cache), ["a"]);
}

#[test]
fn what_is_in_use_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    make(&cache, "a", 1);
    let held = cache.hold("a").unwrap().unwrap();
    let again = cache.hold("a").unwrap().unwrap();
    assert!(!cache.remove("a").unwrap());
    drop(held);
    assert!(!cache.remove("a").unwrap());
    drop(again);
    assert!(cache.remove("a").unwrap());
    assert!(cache.remove("a").is_err() && names(&cache).is_empty());
}

#[test]
fn the_least_recently_used_goes_first_and_never_what_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let usage = |name: &str, second| Usage {
        used: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        bytes: 10,
        path: cache.entry(name),
    };
    let all = vec![usage("new", 3), usage("oldest", 1), usage("old", 2)];
    for name in ["oldest", "old", "new"] {
        make(&cache, name, 10);
    }
    let held = cache.hold("oldest").unwrap().unwrap();
    let remove = |path: &Path| {
        cache
            .remove(path.file_name().unwrap().to_str().unwrap())
            .is_ok_and(|removed| removed)
    };
    assert_eq!(prune(all.clone(), 30, remove), 0);
    assert_eq!(prune(all.clone(), 20, remove), 10);
    assert_eq!(names(&cache), ["new", "oldest"]);
    assert_eq!(prune(vec![all[0].clone(), all[1].clone()], 0, remove), 10);
    assert_eq!(names(&cache), ["oldest"], "it is in use");
    drop(held);
}

#[test]
fn a_file_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    // What one that was killed has left.
    fs::write(dir.path().join(".file"), "a longer text than the next").unwrap();
    std::thread::scope(|scope| {
        for byte in *b"abcdefgh" {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    let write = |file: &mut File| io::Write::write_all(file, &[byte; 5000]);
                    replace_file(path, write).unwrap();
                    let read = fs::read(path).unwrap();
                    assert!(read.len() == 5000 && read.iter().all(|b| *b == read[0]));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// What [`another_process`] is told: the cache, and what to do there.
const TOLD: [&str; 2] = ["COLDCUT_TEST_CACHE", "COLDCUT_TEST_DO"];

/// Runs the test `another_process` of this binary in another process, by way of `before` (a shell's words).
fn another(cache: &Cache, what: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let name = "host::cache::tests::another_process";
    command
        .args(["-ec", &format!("{before} exec \"$0\" --exact {name} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(TOLD[0], cache.root())
        .env(TOLD[1], what)
        .stdout(Stdio::piped());
    command
}

/// Not a test of its own: what the tests below run in another process.
#[test]
fn another_process() {
    let [Some(root), Some(what)] = TOLD.map(std::env::var_os) else {
        return;
    };
    let cache = Cache::open(root.into()).unwrap();
    match what.to_str().unwrap() {
        "half" => {
            let staged = cache.stage().unwrap();
            fs::write(staged.path().join("half"), "x").unwrap();
            fs::write(cache.root().join("ready"), "").unwrap();
            std::thread::sleep(Duration::from_secs(600));
        }
        "many" => {
            for round in 0..200 {
                let name = (round % 7).to_string();
                make(&cache, &name, 100);
                if let Some(held) = cache.hold(&name).unwrap() {
                    let data = fs::read(held.path().join("data")).unwrap();
                    assert_eq!(data.len(), 100, "it is whole while it is held");
                }
                let _ = cache.remove(&((round + 3) % 7).to_string());
                cache.sweep();
            }
        }
        "read" => {
            assert!(cache.stage().is_err(), "it is read-only");
            let held = cache.hold("a").unwrap().unwrap();
            note_use(&held.path().join("data"));
            assert_eq!(fs::read(held.path().join("data")).unwrap().len(), 100);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_a_killed_maker_left_is_swept_and_what_a_living_one_makes_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let mut maker = another(&cache, "half", "").spawn().unwrap();
    while !cache.root().join("ready").exists() {
        assert!(maker.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(cache.sweep(), 0);
    assert_eq!(names(&cache).len(), 2);
    maker.kill().unwrap();
    maker.wait().unwrap();
    assert_eq!(cache.sweep(), 1);
    assert_eq!(names(&cache), ["ready"]);
}

#[test]
fn two_processes_at_once_find_whole_entries() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let children = [0; 3].map(|_| another(&cache, "many", "").spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    cache.sweep();
    assert!(
        names(&cache).iter().all(|name| name.len() == 1),
        "{:?}",
        names(&cache)
    );
}

#[test]
fn a_read_only_cache_serves_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    make(&cache, "a", 100);
    let mount = format!(
        "mount --bind \"${0}\" \"${0}\"; mount -o remount,bind,ro \"${0}\";",
        TOLD[0]
    );
    let inside = another(&cache, "read", &mount);
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--"]);
    unshare.arg(inside.get_program()).args(inside.get_args());
    unshare.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = unshare.output().expect("unshare of util-linux is needed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
