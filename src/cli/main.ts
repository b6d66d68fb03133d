import { Command } from "commander";
import { ConfigError } from "../config.ts";
import { importCatalogCommand } from "./catalog-import.ts";
import { completionScript } from "./completion.ts";
import { doctorCommand } from "./doctor.ts";
import { migrateCommand } from "./migrate.ts";
import { importOnlineRetailCommand } from "./online-retail.ts";
import { createOutput, type Output, UsageError } from "./program.ts";
import { proveCommand } from "./prove.ts";
import { benchCommand, startCommand } from "./run.ts";
import { createTenantCommand, listTenantsCommand, tenantStatusCommand } from "./tenant.ts";
import { deadLettersCommand, eventsCommand, queuesCommand, retryJobCommand } from "./work.ts";

type Action = (output: Output, ...rest: never[]) => Promise<number | undefined>;

/** Runs a command's action with its output; mistakes of the caller are told without a stack. */
function action(run: Action) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const output = createOutput(command.optsWithGlobals()["json"] === true);
    try {
      process.exitCode = (await run(output, ...(given.slice(0, -1) as never[]))) ?? 0;
    } catch (error) {
      const isTold = error instanceof UsageError || error instanceof ConfigError;
      process.stderr.write(`${isTold ? error.message : ((error as Error).stack ?? error)}\n`);
      process.exitCode = isTold ? 2 : 1;
    }
  };
}

function createProgram(): Command {
  const program = new Command("brandos")
    .description("Multi-tenant commerce backend on PostgreSQL")
    .option("--json", "answer in JSON")
    .showHelpAfterError();
  program
    .command("start")
    .description("run the API and the workers")
    .option("--nodes <n>", "processes that share one port", "1")
    .option("--roles <list>", "what the processes do, separated by commas")
    .action(action(startCommand as Action));
  program
    .command("migrate")
    .description("bring every database and schema up to date")
    .action(action(migrateCommand as Action));
  program
    .command("doctor")
    .description("check every promise about the data with independent SQL")
    .option("--tenant <tenant>", "only this brand")
    .action(action(doctorCommand as Action));
  program
    .command("prove")
    .description("race buyers for stock over several processes, kill some, and judge the result")
    .option("--buyers <n>", "buyers", "200")
    .option("--units <n>", "units of the one product", "50")
    .option("--processes <n>", "processes", "3")
    .option("--kill", "kill processes while they sell")
    .action(action(proveCommand as Action));
  program
    .command("bench <name>")
    .description("run one bench beside its peers")
    .option("--quick", "fewer rows, within 45 s")
    .action(action(benchCommand as Action));
  program
    .command("completion")
    .description("print a completion script for bash")
    .action(
      action((async (output: Output) => {
        const script = completionScript(program);
        output.answer({ script }, () => script);
      }) as Action),
    );
  addTenantCommands(program);
  addImportCommands(program);
  addWorkCommands(program);
  return program;
}

function addTenantCommands(program: Command): void {
  const tenant = program.command("tenant").description("brands");
  tenant
    .command("list")
    .description("list brands")
    .action(action(listTenantsCommand as Action));
  tenant
    .command("create <slug>")
    .description("make a brand and its keys")
    .option("--name <name>", "name; default the slug")
    .option("--currency <codes>", "ISO 4217 codes, the first is the default", "EUR")
    .option("--isolation <style>", "pool, bridge or silo", "pool")
    .option("--cluster <name>", "cluster of BRANDOS_DATABASES")
    .action(action(createTenantCommand as Action));
  for (const verb of ["suspend", "resume", "erase"] as const) {
    tenant
      .command(`${verb} <tenant>`)
      .description(`${verb} a brand`)
      .action(
        action(((output: Output, name: string) =>
          tenantStatusCommand(output, verb, name)) as Action),
      );
  }
}

function addImportCommands(program: Command): void {
  const imports = program.command("import").description("bring data in; safe to repeat");
  imports
    .command("online-retail <file>")
    .description("replay the UCI Online Retail data set (CSV)")
    .requiredOption("--tenant <tenant>", "brand that gets it")
    .option("--currency <code>", "ISO 4217", "GBP")
    .action(action(importOnlineRetailCommand as Action));
  imports
    .command("catalog <file>")
    .description("products from CSV or JSON lines")
    .requiredOption("--tenant <tenant>", "brand that gets them")
    .action(action(importCatalogCommand as Action));
}

function addWorkCommands(program: Command): void {
  const jobs = program.command("jobs").description("queues and dead letters");
  jobs
    .command("queues")
    .description("depth and age")
    .action(action(queuesCommand as Action));
  jobs
    .command("dead")
    .description("jobs that will not run again by themselves")
    .requiredOption("--tenant <tenant>", "brand")
    .action(action(deadLettersCommand as Action));
  jobs
    .command("retry <id>")
    .description("let a dead job run again")
    .requiredOption("--tenant <tenant>", "brand")
    .action(action(retryJobCommand as Action));
  program
    .command("events")
    .description("follow a brand's events")
    .requiredOption("--tenant <tenant>", "brand")
    .option("--type <type>", "only this type")
    .option("--once", "show what is there since --after, then end")
    .option("--after <cursor>", "where to go on from")
    .action(action(eventsCommand as Action));
}

await createProgram().parseAsync();
