// The page /docs of a member at QUORATE in a real browser without a window: it shows every operation of /openapi.json, asks nobody
// but the member, and writes no error to the console. A picture of it goes to PICTURE, if that is set.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { chromium } = createRequire(`${process.env.NODE_PACKAGES}/`)('playwright-core');
const member = new URL(process.env.QUORATE).origin;
const profile = await mkdtemp(join(tmpdir(), 'browser-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const failures = [];
try {
  const page = await browser.newPage();
  page.on('console', message => message.type() === 'error' && failures.push(`console: ${message.text()}`));
  page.on('pageerror', error => failures.push(`page: ${error}`));
  page.on('requestfailed', request => failures.push(`failed: ${request.url()}`));
  page.on('response', response => response.status() >= 400 && failures.push(`${response.status()}: ${response.url()}`));
  page.on('request', request => {
    const url = new URL(request.url());
    if (url.origin !== member && !['data:', 'blob:'].includes(url.protocol)) failures.push(`asks elsewhere: ${url}`);
  });

  const document = await (await fetch(`${member}/openapi.json`)).json();
  const verbs = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];
  const described = Object.entries(document.paths)
    .flatMap(([path, item]) => Object.keys(item).filter(verb => verbs.includes(verb)).map(verb => `${verb} ${path}`)).sort();

  await page.goto(`${member}/docs`);
  await page.locator('.opblock').nth(described.length - 1).waitFor({ timeout: 20_000 });
  const shown = await page.locator('.opblock').evaluateAll(blocks => blocks.map(block =>
    `${block.querySelector('.opblock-summary-method').textContent.toLowerCase()} `
    + block.querySelector('.opblock-summary-path').getAttribute('data-path')));
  assert.deepEqual(shown.sort(), described);

  // One of them is opened and tried, against the member itself.
  const list = page.locator('.opblock-get', { has: page.locator('[data-path="/v1/sessions"]') });
  await list.locator('.opblock-summary').click();
  await list.getByRole('button', { name: 'Execute' }).click();
  await list.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor({ timeout: 10_000 });
  if (process.env.PICTURE) await page.screenshot({ path: process.env.PICTURE });
  assert.deepEqual(failures, []);
  console.log(`${shown.length} operations shown`);
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
