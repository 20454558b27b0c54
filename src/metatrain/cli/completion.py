"""`mtt completion`."""

import argparse

NAME = "completion"
HELP = "print a script that completes mtt's words in a shell"
DESCRIPTION = (
    "Print a completion script. For bash: mtt completion bash > "
    "~/.local/share/bash-completion/completions/mtt"
)
WORKFLOW = "metatrain.cli.completion_script:print_script"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what stands after ``mtt completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")
