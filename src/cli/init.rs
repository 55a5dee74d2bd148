//! Files that run at the start, and files that belong to the user.

use std::path::PathBuf;

use super::trust::{Project, Trust, project};
use crate::frontend::tui::config::directory;

fn project_here() -> Project {
    project(&std::env::current_dir().unwrap_or_default(), Trust::of_user().as_ref())
}

/// Files that may run programs: those of the configuration folder, and the project's init file if it is trusted.
pub fn own_files() -> Vec<PathBuf> {
    let mut own: Vec<PathBuf> = directory().into_iter().collect();
    if let Project::File(file) = project_here() {
        own.push(file);
    }
    own
}

/// The init files to run: `init.ldb` in the configuration folder, then the project's if it is trusted; and a warning
/// about one that is not.
pub fn init_files() -> (Vec<PathBuf>, Option<String>) {
    let own = directory().map(|folder| folder.join("init.ldb")).filter(|file| file.is_file());
    let mut files: Vec<PathBuf> = own.into_iter().collect();
    let mut warning = None;
    match project_here() {
        Project::Nothing => {}
        Project::File(file) => files.push(file),
        Project::Untrusted(file) => {
            let advice = "is not trusted and was not run; to trust it, read it and run \"llmdbg trust\"";
            warning = Some(format!("{} {advice}", file.display()));
        }
    }
    (files, warning)
}
