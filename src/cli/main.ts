#!/usr/bin/env node
/** The `colonnade` program: the one place that reads the command line, the environment and signals. */
import { runCommandLine } from './command-line.js';

await runCommandLine(process);
