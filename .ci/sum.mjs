// Adds up steps given as `name:exit code[:vitest's JSON report]` and ends with the line "N passed, N failed".
// A step without a report counts as one; a run whose report is missing, or that failed with no test failing, counts as a failure;
// so does every test that the campaign skipped.
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;

for (const step of process.argv.slice(2)) {
  const [name, code, ...path] = step.split(':');
  const outcome = count(name, Number(code), path.join(':'));
  console.log(`${name}: ${outcome.passed} passed, ${outcome.failed} failed${outcome.note ? ` (${outcome.note})` : ''}`);
  passed += outcome.passed;
  failed += outcome.failed;
}

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function count(name, code, file) {
  if (file === '') return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, note: `ended with ${code} and left no report` };
  }
  const skipped = report.numPendingTests + report.numTodoTests;
  const failed = report.numFailedTests + (name === 'campaign' ? skipped : 0);
  const note = skipped > 0 ? `${skipped} skipped` : '';
  // A suite that cannot be loaded, or an error outside of any test, fails the run without failing a test.
  if (failed === 0 && code !== 0) return { passed: report.numPassedTests, failed: 1, note: `ended with ${code}` };
  return { passed: report.numPassedTests, failed, note };
}
