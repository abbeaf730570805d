// Runs a declarative Jenkinsfile the way Jenkins does, as far as ours uses it: groovy jenkins.groovy JENKINSFILE CREDENTIALS.
// Stages run one after another until one fails, sh runs a script with sh -xe, post runs in any case. Parameters come from
// the environment, PARAM_<name>; CREDENTIALS is a directory with a file for each secret file, by its id.
import org.codehaus.groovy.control.CompilerConfiguration

class Jenkins {
    String credentials
    Map<String, String> env = [:]
    List<String> archived = []
    boolean failed = false
    int code = 0
    private List<Closure> afterwards = []

    private void within(Closure c) {
        c.delegate = this
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
    }

    void pipeline(Closure c) {
        within(c)
        afterwards.each { within(it) }
    }

    void agent(Closure c) { within(c) }
    void label(String name) {}
    void parameters(Closure c) { within(c) }

    void string(Map m) {
        env[m.name] = System.getenv('PARAM_' + m.name) ?: ''
    }

    void environment(Closure c) {
        Map set = [:]
        c.delegate = set
        c.resolveStrategy = Closure.DELEGATE_ONLY
        c.call()
        set.each { name, value -> env[name] = System.getenv(name) ?: value }
    }

    void options(Closure c) { within(c) }
    void timeout(Map m) {}
    void stages(Closure c) { within(c) }

    void stage(String name, Closure c) {
        if (failed) {
            println "Stage \"${name}\" skipped due to earlier failure(s)"
            return
        }
        println "[Pipeline] { (${name})"
        within(c)
    }

    void steps(Closure c) {
        try {
            within(c)
        } catch (StepFailed e) {
            failed = true
            println "ERROR: ${e.message}"
        }
    }

    Map file(Map m) { m }

    void withCredentials(List<Map> bindings, Closure c) {
        bindings.each { env[it.variable] = credentials + '/' + it.credentialsId }
        within(c)
        bindings.each { env.remove(it.variable) }
    }

    void sh(String script) {
        def run = new ProcessBuilder('sh', '-xe', '-c', script).redirectErrorStream(true)
        run.environment().keySet().removeAll { it.startsWith('PARAM_') }
        run.environment().putAll(env)
        def process = run.start()
        process.inputStream.eachLine { println it }
        code = process.waitFor()
        if (code != 0) {
            throw new StepFailed("script returned exit code ${code}")
        }
    }

    void post(Closure c) { afterwards << c }
    void always(Closure c) { within(c) }

    void archiveArtifacts(Map m) { archived << m.artifacts }
}

class StepFailed extends Exception {
    StepFailed(String message) { super(message) }
}

def config = new CompilerConfiguration()
config.scriptBaseClass = DelegatingScript.name
def jenkins = new Jenkins(credentials: args[1])
def script = new GroovyShell(this.class.classLoader, new Binding(), config).parse(new File(args[0]))
script.setDelegate(jenkins)
script.run()
println "archived: ${jenkins.archived.join(', ')}"
println "Finished: ${jenkins.failed ? 'FAILURE' : 'SUCCESS'}"
System.exit(jenkins.failed ? jenkins.code : 0)
