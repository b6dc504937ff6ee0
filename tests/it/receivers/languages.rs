//! Each language's functions, and the published libraries, over the same cases.

use super::cases::{self, Case, word};
use super::deliveries;
use crate::support::program::{Built, Program};

#[path = "../../../docs/snippets/verify.rs"]
#[expect(clippy::disallowed_methods, reason = "a receiver has no clock but the machine's")]
mod verify;

/// The functions of docs/snippets, each with the program that feeds it.
static LANGUAGES: [Program; 8] = [
    Program {
        name: "Node",
        needs: "Node.js 18",
        files: &[("docs/snippets/verify.mjs", "verify.mjs"), ("tests/receivers/drive.mjs", "drive.mjs")],
        build: &[],
        run: &["node", "drive.mjs"],
    },
    Program {
        name: "Python",
        needs: "python3",
        files: &[("docs/snippets/verify.py", "verify.py"), ("tests/receivers/drive.py", "drive.py")],
        build: &[],
        run: &["python", "drive.py"],
    },
    Program {
        name: "Go",
        needs: "Debian's golang-go",
        files: &[
            ("docs/snippets/verify.go", "webhook/verify.go"),
            ("tests/receivers/drive.go", "drive.go"),
            ("tests/receivers/go.mod", "go.mod"),
        ],
        build: &["go", "build", "-o", "drive", "."],
        run: &["./drive"],
    },
    Program {
        name: "Ruby",
        needs: "Debian's ruby",
        files: &[("docs/snippets/verify.rb", "verify.rb"), ("tests/receivers/drive.rb", "drive.rb")],
        build: &[],
        run: &["ruby", "drive.rb"],
    },
    Program {
        name: "PHP",
        needs: "Debian's php-cli",
        files: &[("docs/snippets/verify.php", "verify.php"), ("tests/receivers/drive.php", "drive.php")],
        build: &[],
        run: &["php", "drive.php"],
    },
    Program {
        name: "Java",
        needs: "Debian's default-jdk-headless",
        files: &[("docs/snippets/Verify.java", "Verify.java"), ("tests/receivers/Drive.java", "Drive.java")],
        build: &["javac", "-encoding", "UTF-8", "Verify.java", "Drive.java"],
        run: &["java", "Drive"],
    },
    Program {
        name: "C#",
        needs: "Debian's mono-mcs",
        files: &[("docs/snippets/Verify.cs", "Verify.cs"), ("tests/receivers/Drive.cs", "Drive.cs")],
        build: &["mcs", "-out:drive.exe", "Verify.cs", "Drive.cs"],
        run: &["mono", "drive.exe"],
    },
    Program {
        name: "shell",
        needs: "openssl",
        files: &[("docs/snippets/verify.sh", "verify.sh"), ("tests/receivers/drive.sh", "drive.sh")],
        build: &[],
        run: &["sh", "drive.sh"],
    },
];

/// The package that feeds the library of crates.io.
const STANDARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/receivers/standard/Cargo.toml");

/// The published verifiers of Standard Webhooks.
static LIBRARIES: [Program; 3] = [
    Program {
        name: "npm's standardwebhooks",
        needs: "tests/package.json",
        files: &[("tests/receivers/standard.mjs", "standard.mjs")],
        build: &[],
        run: &["node", "standard.mjs"],
    },
    Program {
        name: "PyPI's standardwebhooks",
        needs: "tests/requirements.txt",
        files: &[("tests/receivers/standard.py", "standard.py")],
        build: &[],
        run: &["python", "standard.py"],
    },
    Program {
        name: "crates.io's standardwebhooks",
        needs: "cargo",
        files: &[],
        build: &["cargo", "build", "--quiet", "--locked", "--manifest-path", STANDARD],
        run: &["cargo", "run", "--quiet", "--locked", "--manifest-path", STANDARD],
    },
];

#[test]
fn every_language_tells_genuine_deliveries_from_others() {
    let built = build(&LANGUAGES);
    let cases = cases::all(&deliveries());
    let in_rust = compare("Rust", &cases, &cases.iter().map(judged_in_rust).collect::<Vec<_>>(), Case::answer);
    let wrong = [judge(&built, &cases, Case::answer), in_rust].concat();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_published_libraries_tell_genuine_deliveries_from_others() {
    let built = build(&LIBRARIES);
    let cases = cases::all(&deliveries());
    let wrong = judge(&built, &cases, |case| word(case.standard_ok).to_owned());
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Builds them side by side.
fn build(programs: &'static [Program]) -> Vec<Built> {
    std::thread::scope(|scope| {
        let building: Vec<_> = programs.iter().map(|program| scope.spawn(|| program.build())).collect();
        building.into_iter().map(|thread| thread.join().expect("it is built")).collect()
    })
}

/// Has each of them judge the cases; what they got wrong.
fn judge(built: &[Built], cases: &[Case], expected: fn(&Case) -> String) -> Vec<String> {
    let lines: Vec<String> = cases.iter().map(Case::line).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = built.iter().map(|program| (program, scope.spawn(|| program.feed(&lines)))).collect();
        let compare = |(program, thread): (&Built, std::thread::ScopedJoinHandle<'_, Vec<String>>)| {
            compare(program.program.name, cases, &thread.join().expect("it runs"), expected)
        };
        running.into_iter().flat_map(compare).collect()
    })
}

fn compare(name: &str, cases: &[Case], said: &[String], expected: fn(&Case) -> String) -> Vec<String> {
    let wrong = cases.iter().zip(said).filter(|(case, said)| expected(case) != **said);
    wrong.map(|(case, said)| format!("{name}, {}: {said} instead of {}", case.what, expected(case))).collect()
}

fn judged_in_rust(case: &Case) -> String {
    let header = |value: &Option<String>| value.clone().unwrap_or_default();
    let (id, timestamp, signatures) = (header(&case.id), header(&case.timestamp), header(&case.signatures));
    let pendo = verify::verify_pendo(&case.secret, &case.body, &header(&case.pendo));
    let standard = verify::verify_standard(&case.key, &case.body, &id, &timestamp, &signatures);
    format!("{} {}", word(pendo), word(standard))
}
