#!/usr/bin/env node
/** The `colonnade` program: the one place that reads the command line, the environment and signals. */
import { runCommandLine } from './command-line.js';

// Never rejects: what goes wrong is told, and becomes the exit status.
void runCommandLine(process);
