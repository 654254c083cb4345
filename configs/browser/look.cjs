// Opens pages in a real browser, as `cargo xtask browser` asks: light and dark, wide and narrow, without scripts, by
// keyboard and on paper. Prints a line for each thing that a person would stumble over, and ends with 1 where there is one.
//
//   node look.cjs CHROMIUM FOLDER PAGE...
//
// playwright-core and axe-core are found beside this file's caller (NODE_PATH).
'use strict';

const { chromium } = require('playwright-core');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
// Rules for documents; what is only advice is left to people.
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const WIDTHS = { wide: 1280, narrow: 390 };

const findings = [];

function find(page, where, what) {
  findings.push(`${path.basename(page)} (${where}): ${what}`);
}

async function look(browser, page, folder, scheme, width) {
  const where = `${scheme}, ${width}`;
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width: WIDTHS[width], height: 900 },
    bypassCSP: true,
  });
  const tab = await context.newPage();
  tab.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) find(page, where, `console: ${message.text()}`);
  });
  tab.on('pageerror', (error) => find(page, where, `script: ${error.message}`));
  tab.on('request', (request) => {
    if (!request.url().startsWith('file:')) find(page, where, `it asks for ${request.url()}`);
  });
  await tab.goto(pathToFileURL(path.resolve(page)).href);
  const overflow = await tab.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (overflow > 0) find(page, where, `it is ${overflow} pixels wider than the window`);
  const name = `${path.basename(page, '.html')}-${scheme}-${width}.png`;
  await tab.screenshot({ path: path.join(folder, name), fullPage: true });
  if (scheme === 'light' && width === 'wide') {
    const top = `${path.basename(page, '.html')}-top.png`;
    await tab.screenshot({ path: path.join(folder, top), clip: { x: 150, y: 0, width: 980, height: 1060 } });
  }
  await unfocused(tab, page, where);
  await tab.evaluate(AXE);
  const { violations } = await tab.evaluate(
    (values) => window.axe.run(document, { runOnly: { type: 'tag', values } }),
    RULES,
  );
  for (const { id, help, nodes } of violations) {
    find(page, where, `axe: ${id}: ${help}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
  }
  await context.close();
}

// Each element that a person comes to by Tab shows that she is there.
async function unfocused(tab, page, where) {
  const seen = new Set();
  for (let turn = 0; turn < 200; turn += 1) {
    await tab.keyboard.press('Tab');
    const at = await tab.evaluate(() => {
      const here = document.activeElement;
      if (!here || here === document.body) return null;
      const style = getComputedStyle(here);
      const shows = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
      const all = Array.from(document.querySelectorAll('*'));
      return { index: all.indexOf(here), name: here.outerHTML.slice(0, 80), shows };
    });
    if (!at || seen.has(at.index)) return;
    seen.add(at.index);
    if (!at.shows) find(page, where, `no sign of the keyboard's focus on ${at.name}`);
  }
}

// All that it says is there without any script, and fits on paper.
async function plain(browser, page, folder) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(pathToFileURL(path.resolve(page)).href);
  const text = await tab.locator('body').innerText();
  if (text.trim().length < 200) find(page, 'no scripts', 'it says next to nothing');
  const paper = await tab.pdf({ format: 'A4', path: path.join(folder, `${path.basename(page, '.html')}.pdf`) });
  const sheets = paper.toString('latin1').match(/\/Type\s*\/Page[^s]/g) || [];
  if (sheets.length < 1 || sheets.length > 12) find(page, 'on paper', `${sheets.length} sheets`);
  await context.close();
}

async function main() {
  const [executablePath, folder, ...pages] = process.argv.slice(2);
  // The sandbox of Chromium refuses to be root; the pages are our own.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  for (const page of pages) {
    for (const scheme of ['light', 'dark']) {
      for (const width of Object.keys(WIDTHS)) await look(browser, page, folder, scheme, width);
    }
    await plain(browser, page, folder);
  }
  await browser.close();
  findings.forEach((finding) => console.log(finding));
  console.log(`${pages.length} pages, ${findings.length} findings; pictures in ${folder}`);
  process.exitCode = findings.length > 0 || pages.length === 0 ? 1 : 0;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
