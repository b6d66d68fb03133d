import type { Command } from "commander";

/** Writes a bash completion script: `source <(brandos completion)`. */
export function completionScript(program: Command): string {
  const lines = program.commands.flatMap((command) => [
    `    ${command.name()}) words="${wordsOf(command)}" ;;`,
  ]);
  return [
    "_brandos() {",
    `  local current="\${COMP_WORDS[COMP_CWORD]}" words`,
    `  case "\${COMP_WORDS[1]}" in`,
    ...lines,
    `    *) words="${wordsOf(program)}" ;;`,
    "  esac",
    `  [ "$COMP_CWORD" -eq 1 ] && words="${wordsOf(program)}"`,
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    "}",
    "complete -F _brandos brandos",
  ].join("\n");
}

function wordsOf(command: Command): string {
  const names = command.commands.map((each) => each.name());
  const flags = command.options.map((option) => option.long ?? "").filter(Boolean);
  return [...names, ...flags, "--json"].join(" ");
}
