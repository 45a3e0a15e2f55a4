import type { Node as AcornNode } from 'acorn'
import { type Any, isKnown, isNode, membersIn, namesIn, nest, ownThisOf, pathOf, type Scope } from './tree.js'

/** A free name of a function's text and how it is used. */
export interface FreeName {
  /** The names after the dot, where the name is used as `name.member` only; undefined otherwise. */
  members: Set<string> | undefined
  /** It is only asked for its type. */
  typeofOnly: boolean
  /** The text of the first place that assigns to it. */
  assigned: string | undefined
  /** Places that write into it: `name.push(…)`, `name[i] = …`. */
  readonly writes: Write[]
}

export interface Write {
  readonly text: string
  /** From the name to what is written into; undefined where that is computed. */
  readonly path: readonly string[] | undefined
}

export interface Finding {
  readonly free: ReadonlyMap<string, FreeName>
  /** How an arrow's own `this` is used; undefined where it is not. */
  readonly self: FreeName | undefined
  /** What cannot be made anew elsewhere: `super`, `import.meta`, a private name, `new.target`, `eval`. */
  readonly refused: string | undefined
  /** How the `this` that the function is called with is used; undefined where it is not. */
  readonly ownThis: FreeName | undefined
}

const mutators = new Set([
  ...['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin'],
  ...['set', 'add', 'delete', 'clear'],
])

/** Reads which names of a function's tree come from outside of it. */
export class Scopes {
  readonly #free = new Map<string, FreeName>()
  readonly #privates: Set<string>[] = []
  #self: FreeName | undefined
  #refused: string | undefined
  #ownThis: FreeName | undefined
  #homes = 0
  #root: AcornNode | undefined

  constructor(
    readonly text: string,
    readonly offset: number,
  ) {}

  read(fn: AcornNode): Finding {
    this.#root = fn
    this.#visit(fn as Any, undefined)
    return { free: this.#free, self: this.#self, refused: this.#refused, ownThis: this.#ownThis }
  }

  #visit(node: Any, scope: Scope | undefined): void {
    switch (node.type) {
      case 'FunctionExpression':
      case 'FunctionDeclaration':
      case 'ArrowFunctionExpression':
        this.#function(node, scope)
        return
      case 'ClassExpression':
      case 'ClassDeclaration':
        this.#class(node, scope)
        return
      case 'Identifier':
        this.#use(node['name'] as string, scope, (use) => (use.members = undefined))
        return
      case 'ThisExpression':
        this.#this(scope, (use) => (use.members = undefined))
        return
      case 'MemberExpression':
        this.#member(node, scope)
        return
      case 'AssignmentExpression':
        this.#write(node['left'] as Any, scope, node)
        this.#visit(node['right'] as Any, scope)
        return
      case 'UpdateExpression':
        this.#write(node['argument'] as Any, scope, node)
        return
      case 'UnaryExpression':
        this.#unary(node, scope)
        return
      case 'CallExpression':
        this.#call(node, scope)
        return
      case 'MetaProperty':
        if ((node['meta'] as Any)['name'] === 'import') this.#refuse('import.meta')
        else if (!ownThisOf(scope)) this.#refuse('new.target')
        return
      case 'Super':
        if (this.#homes === 0) this.#refuse('super')
        return
      case 'PrivateIdentifier':
        if (!this.#privates.some((names) => names.has(node['name'] as string))) this.#refuse(`#${node['name']}`)
        return
      case 'BlockStatement':
      case 'StaticBlock':
      case 'SwitchStatement':
        this.#children(node, this.#block(node, scope))
        return
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
        this.#for(node, scope)
        return
      case 'CatchClause': {
        const inner = nest(scope)
        if (node['param']) this.#declare(node['param'] as Any, inner)
        this.#children(node, inner)
        return
      }
      case 'VariableDeclarator':
        this.#pattern(node['id'] as Any, scope)
        if (node['init']) this.#visit(node['init'] as Any, scope)
        return
      case 'Property':
        if (node['computed']) this.#visit(node['key'] as Any, scope)
        this.#homes += node['method'] || node['kind'] !== 'init' ? 1 : 0
        this.#visit(node['value'] as Any, scope)
        this.#homes -= node['method'] || node['kind'] !== 'init' ? 1 : 0
        return
      case 'LabeledStatement':
        this.#visit(node['body'] as Any, scope)
        return
      case 'BreakStatement':
      case 'ContinueStatement':
        return
      default:
        this.#children(node, scope)
        return
    }
  }

  #children(node: Any, scope: Scope | undefined): void {
    for (const key of Object.keys(node)) {
      const child = node[key]
      if (Array.isArray(child)) for (const each of child) isNode(each) && this.#visit(each, scope)
      else if (isNode(child)) this.#visit(child, scope)
    }
  }

  #function(node: Any, scope: Scope | undefined): void {
    const arrow = node.type === 'ArrowFunctionExpression'
    const inner = nest(scope, arrow ? undefined : node)
    if (node.type === 'FunctionExpression' && node['id']) inner.names.add((node['id'] as Any)['name'] as string)
    if (!arrow) inner.names.add('arguments')
    for (const param of node['params'] as Any[]) this.#declare(param, inner)
    const body = node['body'] as Any
    if (body.type === 'BlockStatement') this.#hoist(body, inner)
    for (const param of node['params'] as Any[]) this.#pattern(param, inner)
    if (body.type === 'BlockStatement') {
      for (const statement of body['body'] as Any[]) this.#lexical(statement, inner)
      this.#children(body, inner)
    } else this.#visit(body, inner)
  }

  #class(node: Any, scope: Scope | undefined): void {
    const inner = nest(scope)
    if (node['id']) inner.names.add((node['id'] as Any)['name'] as string)
    // What the class itself extends is known by its prototype: V8 need not keep the names that led there.
    if (node['superClass'] && node !== this.#root) this.#visit(node['superClass'] as Any, inner)
    const members = (node['body'] as Any)['body'] as Any[]
    const names = members.map(({ key }) => key as Any | undefined).filter((key) => key?.type === 'PrivateIdentifier')
    this.#homes++
    this.#privates.push(new Set(names.map((key) => key!['name'] as string)))
    for (const member of members) {
      if (member['computed']) this.#visit(member['key'] as Any, inner)
      // Fields and static blocks have a `this` of their own.
      const own = nest(inner, member)
      if (member.type === 'StaticBlock') {
        this.#hoist(member, own)
        this.#children(member, this.#block(member, own))
      } else if (member['value']) this.#visit(member['value'] as Any, own)
    }
    this.#privates.pop()
    this.#homes--
  }

  #block(node: Any, scope: Scope | undefined): Scope {
    const inner = nest(scope)
    const statements = (node['body'] ?? (node['cases'] as Any[]).flatMap((one) => one['consequent'])) as Any[]
    for (const statement of statements) this.#lexical(statement, inner)
    return inner
  }

  #for(node: Any, scope: Scope | undefined): void {
    const inner = nest(scope)
    const head = (node['init'] ?? node['left']) as Any | null
    if (head?.type === 'VariableDeclaration') this.#lexical(head, inner)
    else if (head && node.type !== 'ForStatement') this.#write(head, inner, node)
    this.#children(node, inner)
  }

  /** `let`, `const`, classes and functions of a block. */
  #lexical(statement: Any, scope: Scope): void {
    if (statement.type === 'VariableDeclaration' && statement['kind'] !== 'var')
      for (const each of statement['declarations'] as Any[]) this.#declare(each['id'] as Any, scope)
    else if ((statement.type === 'ClassDeclaration' || statement.type === 'FunctionDeclaration') && statement['id'])
      scope.names.add((statement['id'] as Any)['name'] as string)
  }

  /** `var` anywhere in a function, and functions declared in it. */
  #hoist(node: Any, scope: Scope): void {
    for (const key of Object.keys(node)) {
      const child = node[key]
      for (const each of Array.isArray(child) ? child : [child]) {
        if (!isNode(each) || /^(?:Function|Arrow|Class)/.test(each.type)) continue
        if (each.type === 'VariableDeclaration' && each['kind'] === 'var')
          for (const one of each['declarations'] as Any[]) this.#declare(one['id'] as Any, scope)
        this.#hoist(each, scope)
      }
    }
  }

  #declare(pattern: Any, scope: Scope): void {
    for (const name of namesIn(pattern)) scope.names.add(name)
  }

  /** A pattern's defaults and computed keys; its names are declared elsewhere. */
  #pattern(pattern: Any | null, scope: Scope | undefined): void {
    if (!pattern) return
    if (pattern.type === 'AssignmentPattern') {
      this.#pattern(pattern['left'] as Any, scope)
      this.#visit(pattern['right'] as Any, scope)
    } else if (pattern.type === 'ArrayPattern')
      for (const each of pattern['elements'] as Any[]) this.#pattern(each, scope)
    else if (pattern.type === 'RestElement') this.#pattern(pattern['argument'] as Any, scope)
    else if (pattern.type === 'ObjectPattern') {
      for (const each of pattern['properties'] as Any[]) {
        if (each['computed']) this.#visit(each['key'] as Any, scope)
        this.#pattern((each.type === 'RestElement' ? each['argument'] : each['value']) as Any, scope)
      }
    }
  }

  /** What stands left of an assignment. */
  #write(target: Any, scope: Scope | undefined, whole: Any): void {
    for (const name of namesIn(target)) {
      this.#use(name, scope, (use) => {
        use.members = undefined
        use.assigned ??= this.#textOf(whole)
      })
    }
    for (const member of membersIn(target)) this.#written(member, scope, whole)
    if (target.type !== 'Identifier' && target.type !== 'MemberExpression') this.#pattern(target, scope)
  }

  #written(member: Any, scope: Scope | undefined, whole: Any): void {
    this.#visit(member, scope)
    let base = member
    while (base.type === 'MemberExpression') base = base['object'] as Any
    const mark = (use: FreeName): void => {
      use.writes.push({ text: this.#textOf(whole), path: pathOf(member['object'] as Any) })
    }
    if (base.type === 'Identifier') this.#use(base['name'] as string, scope, mark)
    if (base.type === 'ThisExpression') this.#this(scope, mark)
  }

  #member(node: Any, scope: Scope | undefined): void {
    const object = node['object'] as Any
    const property = node['property'] as Any
    if (node['computed']) this.#visit(property, scope)
    else if (property.type === 'PrivateIdentifier') this.#visit(property, scope)
    const name = node['computed'] ? undefined : (property['name'] as string)
    const mark = (use: FreeName): void => {
      if (name === undefined || property.type === 'PrivateIdentifier') use.members = undefined
      else use.members?.add(name)
    }
    if (object.type === 'Identifier') this.#use(object['name'] as string, scope, mark)
    else if (object.type === 'ThisExpression') this.#this(scope, mark)
    else this.#visit(object, scope)
  }

  #call(node: Any, scope: Scope | undefined): void {
    const callee = node['callee'] as Any
    if (callee.type === 'Identifier' && callee['name'] === 'eval' && !isKnown('eval', scope)) this.#refuse('eval')
    const property = callee.type === 'MemberExpression' ? (callee['property'] as Any)['name'] : undefined
    if (callee.type === 'MemberExpression' && !callee['computed'] && mutators.has(property as string)) {
      this.#written(callee, scope, node)
      for (const each of node['arguments'] as Any[]) this.#visit(each, scope)
    } else this.#children(node, scope)
  }

  #unary(node: Any, scope: Scope | undefined): void {
    const argument = node['argument'] as Any
    if (node['operator'] === 'delete' && argument.type === 'MemberExpression') {
      this.#written(argument, scope, node)
      return
    }
    if (node['operator'] !== 'typeof' || argument.type !== 'Identifier') {
      this.#visit(argument, scope)
      return
    }
    const name = argument['name'] as string
    const known = this.#free.get(name)
    this.#use(
      name,
      scope,
      (use) => {
        use.members = undefined
        if (!known) use.typeofOnly = true
      },
      true,
    )
  }

  #use(name: string, scope: Scope | undefined, mark: (use: FreeName) => void, asksType = false): void {
    if (isKnown(name, scope)) return
    const use = this.#free.get(name) ?? unused()
    if (!asksType) use.typeofOnly = false
    this.#free.set(name, use)
    mark(use)
  }

  #this(scope: Scope | undefined, mark: (use: FreeName) => void): void {
    const owner = ownThisOf(scope)
    if (owner === this.#root) {
      this.#ownThis ??= unused()
      mark(this.#ownThis)
    }
    if (owner) return
    this.#self ??= unused()
    mark(this.#self)
  }

  #refuse(what: string): void {
    this.#refused ??= what
  }

  #textOf(node: AcornNode): string {
    const text = this.text.slice(node.start - this.offset, node.end - this.offset).replace(/\s+/g, ' ')
    return text.length > 60 ? `${text.slice(0, 57)}...` : text
  }
}

function unused(): FreeName {
  return { members: new Set(), typeofOnly: false, assigned: undefined, writes: [] }
}
