// Opens each page of pages.py in a real browser, as people would: by eye, by keyboard, on a phone, on paper, offline.
// usage: node look.mjs MODULES_FOLDER PAGES_FOLDER OUT_FOLDER
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, pages, out] = process.argv.slice(2);
const require = createRequire(path.join(modules, 'x.js'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const widths = [1440, 1280, 390];
let failed = 0;
let passed = 0;
const check = (what, holds) => {
  if (holds) passed += 1;
  else { failed += 1; console.log(`FAILED: ${what}`); }
};

// What axe-core finds with everything unfolded, but for trifles.
const found = (page) => page.evaluate(async () => {
  const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
  return violations.filter(({ impact }) => impact !== 'minor')
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
});
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
const height = (page) => page.evaluate(() => document.documentElement.scrollHeight);
const visible = (page, selector) => page.locator(selector).filter({ visible: true }).count();

// What holds of one kind of page.
const looks = {
  async many(page) {
    check('10 of 300 that change take at most three screens', await height(page) <= 3 * 900);
    check('what is in sync is folded', await visible(page, '.fold .matrix') === 0);
    await page.locator('.fold > summary').click();
    check('instances of which all is the same share a row', await page.locator('.fold .matrix tbody tr').count() < 10);
    await page.setViewportSize({ width: 1440, height: 400 });
    await page.locator('.fold .matrix tbody tr').last().evaluate((row) => row.scrollIntoView({ block: 'end' }));
    const top = await page.locator('.fold .matrix thead th').first().evaluate((cell) => cell.getBoundingClientRect().top);
    check(`the heading stays: ${top}`, top >= 0 && top < 400);
    const rows = await visible(page, '.matrix tr.one');
    await page.getByRole('radio', { name: 'closes' }).check();
    const closing = await visible(page, '.matrix tr.one');
    check('one can look at those alone that close', closing > 0 && closing < rows);
    await page.getByRole('radio', { name: 'all' }).check();
    await page.locator('.fold > summary').click();
    await page.evaluate(() => scrollTo(0, 0));
  },
  async plan(page) {
    // By keyboard alone: to an instance, and into its details.
    await page.locator('.sections details').first().evaluate((section) => { section.open = false; });
    await page.locator('.matrix a').first().focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.sections details').open);
    check('a name opens its details', await page.locator('#i0').isVisible());
    check('a cell says what changes', (await page.locator('.matrix').first().innerText()).includes('+\u00a0lightsail-connect'));
  },
  async refused(page) {
    check('a refused plan says so first', (await page.locator('h1').innerText()).startsWith('Refused.'));
  },
  async drift(page) {
    const text = await page.locator('body').innerText();
    check('drift speaks of drift', text.indexOf('Live allows more') < text.indexOf('Live lacks') && !/\d calls?\b|\bOpens\b/.test(text));
  },
  async clean(page) {
    check('where nothing differs there is no table', await visible(page, '.matrix') === 0);
  },
};

const look = async (browser, name, colorScheme) => {
  const context = await browser.newContext({ colorScheme, offline: true, viewport: { width: widths[0], height: 900 } });
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(pathToFileURL(path.join(pages, `${name}.html`)).href);
  if (colorScheme === 'light') await looks[name]?.(page);
  check(`${name}: no script is in it`, await page.locator('script').count() === 0);
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 });
    check(`${name} ${width}: it does not scroll sideways: ${await overflow(page)}`, await overflow(page) <= 0);
    await page.screenshot({ path: path.join(out, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    check(`${name} ${width}: cards on a phone, and a table elsewhere`,
      width > 960 || await visible(page, '.matrix') === 0);
  }
  if (colorScheme === 'light') {
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 718, height: 1000 });
    const folded = await page.locator('details').evaluateAll((all) => all
      .filter((one) => one.lastElementChild.getBoundingClientRect().height === 0).map((one) => one.innerText));
    check(`${name}: nothing is folded on paper: ${folded}`, folded.length === 0);
    await page.screenshot({ path: path.join(out, `${name}-print.png`), fullPage: true });
    await page.emulateMedia({ media: null });
  }
  await page.evaluate(axe);
  await page.locator('details').evaluateAll((all) => all.forEach((one) => { one.open = true; }));
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 });
    const violations = await found(page);
    check(`${name} ${width} ${colorScheme}: axe: ${violations.join('\n  ')}`, violations.length === 0);
  }
  check(`${name}: nothing but the page is asked for: ${requests}`, requests.length === 1);
  check(`${name}: the browser has nothing to complain of: ${complaints}`, complaints.length === 0);
  await context.close();
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const names = readdirSync(pages).filter((file) => file.endsWith('.html')).map((file) => path.parse(file).name);
for (const name of names) {
  for (const colorScheme of ['light', 'dark']) await look(browser, name, colorScheme);
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
