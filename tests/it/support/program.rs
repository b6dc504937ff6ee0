//! Programs in other languages: built once, then fed with lines.

use super::smtp::python;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What it takes to run one.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    /// How the runtime comes to be there when it is not.
    pub needs: &'static str,
    /// Files of the repository that are copied into the folder in which it runs, and where to in it.
    pub files: &'static [(&'static str, &'static str)],
    /// The command that builds it; empty when nothing is to be built.
    pub build: &'static [&'static str],
    pub run: &'static [&'static str],
}

/// One that is ready to run, in a folder of its own.
#[derive(Debug)]
pub struct Built {
    pub program: &'static Program,
    pub dir: TempDir,
}

impl Program {
    /// Copies its files and builds it.
    #[track_caller]
    pub fn build(&'static self) -> Built {
        let dir = TempDir::new().unwrap();
        for (from, to) in self.files {
            let target = dir.path().join(to);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(root().join(from), target).unwrap_or_else(|error| panic!("{from}: {error}"));
        }
        std::os::unix::fs::symlink(node_modules(), dir.path().join("node_modules")).unwrap();
        let built = Built { program: self, dir };
        if !self.build.is_empty() {
            let output = built.command(self.build).output().unwrap_or_else(|error| self.missing(&error));
            assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        }
        built
    }

    fn missing(&self, error: &std::io::Error) -> ! {
        panic!("{} does not start ({error}); `make test` installs what it needs: {}", self.name, self.needs)
    }
}

impl Built {
    /// The command that runs it.
    pub fn start(&self) -> Command {
        self.command(self.program.run)
    }

    /// Runs it over the lines; its own, of which there must be as many.
    #[track_caller]
    pub fn feed(&self, lines: &[String]) -> Vec<String> {
        let input = self.dir.path().join("lines");
        fs::write(&input, lines.join("\n") + "\n").unwrap();
        let output = self.start().stdin(fs::File::open(input).unwrap()).stderr(Stdio::piped()).output();
        let output = output.unwrap_or_else(|error| self.program.missing(&error));
        let said: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        let (name, complaint) = (self.program.name, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.len() == lines.len(), "{name}: {said:?} {complaint}");
        said
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = match words[0] {
            "python" => Command::new(python()),
            "cargo" => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            word => Command::new(word),
        };
        // Caches that outlive the test are below the target folder; nothing is fetched for Go, which needs nothing.
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        command.env("CARGO_TARGET_DIR", scratch.join("standard")).env("GOCACHE", scratch.join("go"));
        command.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod");
        command.current_dir(self.dir.path()).args(&words[1..]).stdin(Stdio::null());
        command
    }
}

/// Where `make test` has installed what tests/package.json names.
fn node_modules() -> PathBuf {
    let told = std::env::var_os("TEST_NODE_MODULES").map(PathBuf::from);
    let usual = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/fanfare-tools/node/node_modules");
    told.unwrap_or_else(usual)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
